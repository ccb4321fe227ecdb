// The key files that something is wrong with, until they are mended, and how long their clients keep the keys they had:
// a file that is cut short is also how people take somebody out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/clock.hpp"
#include "server/gatekeeper/keys/key_loading.hpp"

namespace oneknock {

class KeyProblems {
public:
    static constexpr Seconds kept_for{600};

    struct Problem {
        std::string client;             // empty: the file is no client's
        std::string text;               // a sentence that names the file
        std::string consequence;        // what that means for the client
        std::optional<Instant> out_at;  // the client keeps its keys until then
        // The file is read, and its client in force: without the services that the door does not have; with what the
        // others allow that hold the same key; until its key ends, as one that was rotated away.
        enum class Of : std::uint8_t { file, services, sharing, outdated };
        Of of = Of::file;
    };

    // What is in force, and what is odd about it.
    struct InForce {
        const Keyring& keyring;
        const Sharing& sharing;
        const std::set<std::string>& outdated;
    };

    // At the start, and of each load before its change is taken in.
    void take_in(const LoadedKeys& loaded, const Keyring& in_force, Instant now);
    // Afterwards: those that have changed or, where the door has, or who shares a key with whom, all clients.
    void check_all(const InForce& in_force);
    void check(const std::string& client, const InForce& in_force);
    [[nodiscard]] bool is_other(const Sharing& sharing) const { return sharing != sharing_; }  // than at the last look

    [[nodiscard]] std::optional<Instant> next_due() const;
    // The clients that are out from now on: their time is over or, with `at_once`, they are given none.
    [[nodiscard]] std::set<std::string> take_out(Instant now, bool at_once);

    // Logs what has come up since the last call.
    void log_news();

    [[nodiscard]] bool all_were_read() const { return all_were_read_; }  // else they are to be told again
    [[nodiscard]] const std::map<std::string, Problem>& all() const { return problems_; }  // by the file's name

private:
    void note(const std::string& file, const WrongKeyFile& wrong, const LoadedKeys& loaded, const Keyring& in_force,
              Instant now);
    void set(const std::string& file, Problem problem);
    void check(const Client& client, const InForce& in_force);
    [[nodiscard]] static std::optional<Problem> oddity_of(const Client& client, const InForce& in_force);

    bool all_were_read_ = true;
    std::map<std::string, Problem> problems_;  // as many as there are files
    std::set<std::string> news_;               // files
    Sharing sharing_;                          // as it was at the last look
};

}  // namespace oneknock
