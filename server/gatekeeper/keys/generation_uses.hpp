// Which generation of its key each client has used, and each client of the door's: from the audit, and from what is
// accepted since. From that follow the early ends of older generations (keys/rotation.hpp), which are held in the
// keyring in memory: no file is written for them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "keys/keyring.hpp"
#include "keys/rotation.hpp"
#include "server/gatekeeper/record/audit.hpp"

namespace oneknock {

class GenerationUses {
public:
    explicit GenerationUses(const Grace& grace) : grace_(grace) {}

    // At the start: what the audit knows of clients that rotate, or of all while the door does.
    void learn(Keyring& keyring, Audit& audit);

    // During a reload, which goes on in slices: the same of one client that is new or changed; then for all of them at
    // once, with the clients that are gone. Or, where the reload is refused, nothing of it.
    void look_up(const Client& client, const Door& door, Audit& audit);
    void forget(const std::set<std::string>& gone);
    // `may_end_door`: the door is another one, or a client is gone that was waited for.
    void take_in_what_was_looked_up(Keyring& keyring, bool may_end_door);
    void forget_what_was_looked_up() { looked_up_.clear(); }

    // A knock of `client` was accepted.
    void note(Keyring& keyring, Client& client, std::uint32_t generation, std::uint32_t door_generation, UnixTime now);

    // The clients whose files are older than a key that they have used.
    [[nodiscard]] const std::set<std::string>& outdated() const { return outdated_; }

    // Whether the ends of the door's generations may have changed since the last call.
    [[nodiscard]] bool door_has_changed() { return std::exchange(door_has_changed_, false); }

private:
    void end_door_early(Keyring& keyring);

    Grace grace_;
    std::map<std::string, Uses> of_clients_, of_door_;  // by client
    std::map<std::string, Audit::ClientUses> looked_up_;
    std::set<std::string> outdated_;
    // The time of the latest use. A client that had not expired by then is waited for: a clock that is ahead for a
    // while shall not end, for good, what clients need that only seem to have.
    UnixTime latest_{};
    // The first client that has yet to use the door's newest secret, so that each is looked at once and not with every
    // knock; all before it have, or are not waited for. Nothing: all have.
    std::optional<std::string> awaited_ = "";
    bool door_has_changed_ = false;
};

}  // namespace oneknock
