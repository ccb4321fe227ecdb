// What the user asked for, checked and in types. The words come from command_line; every refusal is ExitCode::usage
// and says what to write instead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/message/knock_settings.hpp"
#include "common/result.hpp"

namespace oneknock {

// A knock as it was typed; nothing is checked yet.
struct KnockWords {
    std::string door;
    std::string service;
    std::optional<std::string> duration;
    std::optional<std::string> via;
    std::optional<std::string> packets;
    std::optional<std::string> pace;
    std::optional<std::string> source;
    std::optional<std::string> wait;
    std::optional<std::string> write;
    std::optional<std::string> time_offset;
    std::optional<std::string> key_fd;
    bool ipv4 = false;
    bool ipv6 = false;
    bool dry_run = false;
    bool json = false;
    bool verbose = false;
};

struct KnockOptions : KnockSettings {
    std::string door;                  // a path or the name of an imported one
    std::string service;               // a name from the key file, or "tcp/22"
    std::optional<std::string> write;  // path of a pcap file
    std::optional<int> key_fd;         // what the passphrase is read from, instead of the terminal
    bool json = false;
};

inline constexpr std::chrono::seconds default_wait{10};
inline constexpr std::chrono::hours longest_wait{1};
// docs/protocol.md, "Sending": a pass ends within this.
inline constexpr std::chrono::milliseconds longest_pass{2000};

// --key-fd: 0, or 3 and above.
[[nodiscard]] Result<std::optional<int>> read_key_fd(const std::optional<std::string>& word);

[[nodiscard]] Result<KnockOptions> read_knock_options(Operation operation, const KnockWords& words);

struct ConnectOptions {
    KnockOptions knock;
    bool pass_descriptor = false;  // ssh's ProxyUseFdpass
};

struct RotateOptions {
    KnockOptions knock;                    // the door by its name
    std::string host;                      // where ssh goes
    std::vector<std::string> ssh_options;  // what it is told besides
    std::string folder;                    // the door's, there
    bool sudo = true;
};

struct RunOptions {
    KnockOptions knock;
    std::vector<std::string> command;  // not empty
    bool probe = true;                 // wait until a TCP service accepts connections
};

struct DoctorOptions {
    KnockOptions knock;  // without a door: all imported keys, and nothing is sent
    bool knocks = true;
};

struct ExplainOptions {
    std::string door;
    std::string file = "-";  // "-": standard input
    bool json = false;
    std::optional<int> key_fd = std::nullopt;
};

struct ImportOptions {
    std::string file;         // "-": standard input
    bool passphrase = false;  // lock it with a new one
    std::optional<int> key_fd = std::nullopt;
    std::optional<std::string> as = std::nullopt;  // a name of its own, instead of the door's
    // Of a key that was sealed for this machine; where neither is given, a person is asked.
    std::optional<std::string> words = std::nullopt;  // what the administrator has
    bool yes = false;                                 // whatever the words are
};

// --for of enrol.
[[nodiscard]] Result<Seconds> read_enrolment_time(const std::optional<std::string>& word);

struct EnrolOptions {
    Seconds time;  // until it expires
};

inline constexpr Seconds usual_unlocked{3600};
inline constexpr Seconds longest_unlocked{30 * 24 * 3600};
// --for of unlock.
[[nodiscard]] Result<Seconds> read_unlocked(const std::optional<std::string>& word);

struct UnlockOptions {
    std::string door;
    Seconds time = usual_unlocked;
    std::optional<int> key_fd = std::nullopt;
};

struct LockOptions {
    std::optional<std::string> door;  // none: all
};

struct RemoveOptions {
    std::string door;
};

struct SetOptions {
    std::string door;
    std::vector<std::string> assignments;  // "via=tcp"; none: show what is set
};

struct PassphraseOptions {
    std::string door;
    bool remove = false;
    std::optional<int> key_fd = std::nullopt;
};

struct PageOptions {
    std::string door;
    std::string output;
    std::string page_template;
    std::optional<int> key_fd = std::nullopt;
};

enum class SshConfigAction : std::uint8_t { print, install, remove };
struct SshConfigOptions {
    std::string door;
    std::string service = "ssh";
    SshConfigAction action = SshConfigAction::print;
};

struct ListOptions {
    bool json = false;
};

}  // namespace oneknock
