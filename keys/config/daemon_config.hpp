// The daemon's configuration (kind "daemon", oneknockd.json). It holds no secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/result.hpp"

namespace oneknock {

enum class FirewallMode : std::uint8_t {
    guard,  // our table closes the services and opens them for grants
    mark,   // our table marks granted packets; the administrator's rules accept the mark
    set,    // we keep timed sets in a table of the administrator's
};
enum class ClosedAnswer : std::uint8_t { reset, drop };
enum class Scheduling : std::uint8_t {
    realtime,  // the daemon's processes before all other programs, where it has the right
    normal,    // among them
};

// A daemon deletes and builds its table as it needs, so no table of the administrator's may have such a name.
inline constexpr const char* default_table = "oneknock";  // and what each one's name begins with

[[nodiscard]] bool is_own_table_name(std::string_view name);
inline constexpr std::string_view own_table_rule =
    "must begin with \"oneknock\" and go on with letters, digits and _, like \"oneknock_office\": it is a table of the "
    "daemon's own";

struct FirewallConfig {
    FirewallMode mode = FirewallMode::guard;
    ClosedAnswer closed = ClosedAnswer::reset;  // guard mode
    std::vector<Network> trusted;               // guard mode
    // Guard mode: a UDP session ends when the service has sent nothing to the client for so long, or so long after its
    // grant. NATs keep a mapping for two minutes at least, and better for five (RFC 4787, 4.3).
    Seconds udp_idle{300};
    Seconds udp_maximum{86400};
    std::uint32_t mark = 0;                 // mark mode; not 0
    std::string own_table = default_table;  // guard and mark mode, of family inet: a daemon's own
    // set mode: "family name" of the administrator's table and the names of its two sets; an empty name leaves that
    // address family out, but not both may be empty.
    std::string set_table_family;  // "inet", "ip" or "ip6"
    std::string set_table;
    std::string set_ipv4;
    std::string set_ipv6;
};

inline constexpr const char* default_config = "/etc/oneknock/oneknockd.json";
inline constexpr const char* default_state = "/var/lib/oneknock";
inline constexpr const char* default_socket = "/run/oneknock/control.sock";
inline constexpr const char* default_user = "oneknock";
inline constexpr std::size_t longest_socket_path = 107;  // sockaddr_un::sun_path, less the zero behind it
// Each has a buffer of 4 MiB in the kernel. Who has more of them means all.
inline constexpr std::size_t most_interfaces = 64;

struct DaemonConfig {
    std::string path;  // of this file, for messages
    std::string door;  // paths are absolute or resolved against this file's folder
    std::string clients;
    std::vector<std::string> interfaces{"any"};  // 1 to most_interfaces; "any" stands alone
    Seconds tolerance{60};                       // 1s..1h
    Seconds grant_default{30};
    Seconds grant_maximum{3600};  // at most 65535 s
    // How long after the first use of a new generation the old one stays (keys/rotation); nothing: until its own end.
    std::optional<Seconds> rotation_grace{Seconds{86400}};  // 0s..366d
    FirewallConfig firewall;
    Scheduling scheduling = Scheduling::realtime;
    std::string state = default_state;
    std::string socket = default_socket;
    std::string user = default_user;
};

// Fields with a default may be left out of the file: all but "oneknock", "version", "door" and "clients". What is
// wrong in the file is ExitCode::config.
[[nodiscard]] Result<DaemonConfig> parse_daemon_config(std::string_view text, const std::string& path);
[[nodiscard]] Result<DaemonConfig> read_daemon_config(const std::string& path);

// The file's text as `oneknock-keygen init` writes it, paths as they stand in `config`.
[[nodiscard]] std::string daemon_config_text(const DaemonConfig& config);

}  // namespace oneknock
