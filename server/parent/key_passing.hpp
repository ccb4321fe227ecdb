// Opens key files and passes their descriptors to the gatekeeper, unread: whoever opens them needs the privilege,
// whoever reads them must not have it.
//
// A load tells what has changed since the last load that the gatekeeper took: all of it at the start. A file that
// cannot be opened, or is gone, is told of like any other: it holds up none of the rest. A load goes on in slices,
// between which the parent serves grants, and never waits for the gatekeeper to make room.
//
// Between loads, has_changed() looks whether the paths still lead to what the last load found there.
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

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

class KeyPassing {
public:
    explicit KeyPassing(const DaemonConfig& config) : door_path_(config.door), folder_path_(config.clients) {}

    // Begins a load; none may be under way. Both values come back to the gatekeeper at the load's end.
    void begin(RequestId last_request, bool asked);

    // What the load needs in order to go on.
    enum class State : std::uint8_t { idle, more, channel_full, awaiting_answer };
    [[nodiscard]] State state() const { return state_; }  // idle: none is under way

    // A slice of the load.
    void step(Channel& gatekeeper);

    // Each time that the door's file was passed, the gatekeeper may tell once of the door's services; else false.
    [[nodiscard]] bool may_tell_services() { return doors_passed_ > 0 && doors_passed_-- > 0; }

    // Only while the answer is needed. What was not taken is told again by the next load.
    void on_answer(bool taken);

    // Between loads: whether the door's file, the clients' folder or one of its files is another one than the last load
    // found. Of the files, at most `looks_a_time` are looked at, in turn.
    [[nodiscard]] bool has_changed();
    // The paths of clients' files that are links, as the last load found them: some of them, if there are many.
    [[nodiscard]] const std::vector<std::string>& links() const { return links_; }
    // How long to wait between two such looks.
    [[nodiscard]] Instant look_interval() const;

private:
    // What a path leads to. Any change of a file updates its ctime, which nobody can set.
    struct Seen {
        int error = 0;  // of stat(2); all else is zero then
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        std::int64_t changed_ns = 0;  // ctime
        friend bool operator==(const Seen&, const Seen&) = default;
    };
    struct Known {
        std::optional<Seen> seen;
        std::uint64_t seen_in = 0;  // number of a load
    };
    struct Told {
        std::string name;
        std::optional<Seen> seen;
    };
    struct Ready {
        PassedKeyFile message;
        Descriptor file;
        Told told;
    };
    struct CloseFolder {
        void operator()(DIR* folder) const { closedir(folder); }
    };

    [[nodiscard]] static Seen look_at(int folder, const char* path);
    [[nodiscard]] static Seen seen_of(const struct stat& info);
    // Nothing for what changed moments ago: a change within the same tick of the clock could not be told.
    [[nodiscard]] static std::optional<Seen> settled(const Seen& seen);

    void look(Channel& gatekeeper);
    void look_at_door(Channel& gatekeeper);
    void open_folder(Channel& gatekeeper);
    void look_at_next_client(Channel& gatekeeper);
    void look_for_next_known(Channel& gatekeeper);
    bool look_at_client(const std::string& name, Channel& gatekeeper);  // false: it is not there
    [[nodiscard]] bool is_as_it_was(const std::string& name, const Seen& seen);
    void open(int folder, const char* at, const std::string& name, Channel& gatekeeper);
    void tell_unopened(const std::string& name, int error, const std::optional<Seen>& seen, Channel& gatekeeper);
    void tell_missing(const std::string& name, Channel& gatekeeper);
    void pass(Channel& gatekeeper);
    void end(Channel& gatekeeper);
    [[nodiscard]] std::string path_of(const std::string& name) const;
    [[nodiscard]] bool has_a_file_changed(int folder);

    static constexpr std::size_t looks_a_time = 1000;  // some 2 ms
    static constexpr std::size_t most_links = 100;

    std::string door_path_, folder_path_;
    using AllKnown = std::unordered_map<std::string, Known>;
    AllKnown known_;  // what the gatekeeper was told of, by the file's name; the door's is empty
    std::optional<Seen> folder_seen_;
    std::vector<std::string> links_;
    std::size_t next_bucket_ = 0;  // of known_, to be looked at by has_changed()

    // Of the load under way.
    State state_ = State::idle;
    std::uint32_t doors_passed_ = 0;
    std::uint64_t load_ = 0;
    RequestId last_request_ = 0;
    bool asked_ = false;
    std::uint32_t count_ = 0;
    bool door_was_seen_ = false, folder_was_seen_ = false;
    int folder_error_ = 0;
    std::optional<Seen> folder_seen_now_;
    std::unique_ptr<DIR, CloseFolder> folder_;
    std::size_t still_there_ = 0;          // of known_
    AllKnown::const_iterator next_known_;  // to be looked for, should it not have been listed
    std::optional<Ready> ready_;           // opened, and still to be passed
    std::vector<Told> told_;
    std::vector<std::string> missing_;
};

}  // namespace oneknock
