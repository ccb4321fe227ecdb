// Opens key files and passes their descriptors to the gatekeeper, unread: whoever opens them needs the privilege,
// whoever reads them must not have it.
//
// A load passes what has changed since the last load that the gatekeeper took: all of it at the start. It goes on in
// slices, between which the parent serves grants, and never waits for the gatekeeper to make room.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <dirent.h>
#include <sys/stat.h>

#include "common/fd.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

class KeyPassing {
public:
    explicit KeyPassing(const DaemonConfig& config) : door_path_(config.door), folder_path_(config.clients) {}

    // Begins a load; none may be under way. `last_request` comes back to the gatekeeper at the load's end.
    void begin(RequestId last_request);

    // What the load needs in order to go on.
    enum class State : std::uint8_t { idle, more, channel_full, awaiting_answer };
    [[nodiscard]] State state() const { return state_; }  // idle: none is under way

    // A slice of the load. An error ends it: the gatekeeper is told, which then takes nothing of it.
    [[nodiscard]] Result<void> step(Channel& gatekeeper);

    // Each time that the door's file was passed, the gatekeeper may tell once of the door's services; else false.
    [[nodiscard]] bool may_tell_services() { return doors_passed_ > 0 && doors_passed_-- > 0; }

    // Only while the answer is needed. What was not taken is passed again by the next load.
    void on_answer(bool taken);

private:
    // Identifies an unchanged file: any change updates its ctime, which nobody can set.
    struct Stamp {
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        std::int64_t changed_ns = 0;  // ctime
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };
    struct Known {
        std::optional<Stamp> stamp;
        std::uint64_t seen_in = 0;  // number of a load
    };
    struct Passed {
        std::string name;
        std::optional<Stamp> stamp;
    };
    struct Ready {
        PassedKeyFile message;
        Descriptor file;
        Passed passed;
    };
    struct CloseFolder {
        void operator()(DIR* folder) const { closedir(folder); }
    };

    // Nothing for a file that changed moments ago: a change within the same tick of the clock could not be told.
    [[nodiscard]] static std::optional<Stamp> stamp_of(const struct stat& info);
    [[nodiscard]] Result<void> look();
    [[nodiscard]] Result<void> look_at_next_client();
    [[nodiscard]] Result<void> look_for_next_known(Channel& gatekeeper);
    [[nodiscard]] Result<bool> look_at_client(const std::string& name);  // false: it is not there
    [[nodiscard]] bool is_as_it_was(const std::string& name, const struct stat& info);
    [[nodiscard]] Result<void> open(int folder, const char* at, std::string name);
    void pass(Channel& gatekeeper);
    void end(Channel& gatekeeper, bool is_whole);

    std::string door_path_, folder_path_;
    using AllKnown = std::unordered_map<std::string, Known>;
    AllKnown known_;  // what the gatekeeper has, by the file's name; the door's is empty

    // Of the load under way.
    State state_ = State::idle;
    std::uint32_t doors_passed_ = 0;
    std::uint64_t load_ = 0;
    RequestId last_request_ = 0;
    bool door_was_seen_ = false, folder_was_seen_ = false;
    std::unique_ptr<DIR, CloseFolder> folder_;
    std::size_t still_there_ = 0;          // of known_
    AllKnown::const_iterator next_known_;  // to be looked for, should it not have been listed
    std::optional<Ready> ready_;           // opened, and still to be passed
    std::vector<Passed> passed_;
    std::vector<std::string> missing_;
};

}  // namespace oneknock
