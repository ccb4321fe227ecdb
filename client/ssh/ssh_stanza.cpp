#include "client/ssh/ssh_stanza.hpp"

#include <algorithm>
#include <cctype>

namespace oneknock {
namespace {

constexpr std::string_view file_mark = "# Made by oneknock ssh-config: ";
constexpr std::string_view config_mark = "# Made by oneknock ssh-config\n";
constexpr std::uint16_t ssh_port = 22;

// ssh_config(5), TOKENS: an address may have a scope, as in fe80::1%eth0.
std::string without_tokens(std::string_view text) {
    std::string escaped;
    for (const char c : text) escaped += c == '%' ? std::string("%%") : std::string{c};
    return escaped;
}

std::string_view next_line(std::string_view text) {
    return text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
}

std::string_view without_blanks(std::string_view line) {
    constexpr std::string_view blanks = " \t\r\n";
    const auto first = line.find_first_not_of(blanks);
    return first == std::string_view::npos ? "" : line.substr(first, line.find_last_not_of(blanks) - first + 1);
}

// Keywords are case-insensitive, and end at a blank or '='.
bool begins_a_block(std::string_view line) {
    const std::string_view text = without_blanks(line);
    std::string keyword(text.substr(0, std::min(text.find_first_of(" \t="), text.size())));
    std::ranges::transform(keyword, keyword.begin(), [](unsigned char c) { return std::tolower(c); });
    return keyword == "host" || keyword == "match";
}

// Where our line begins, ahead of all that would limit it.
std::optional<std::size_t> find_include(std::string_view config) {
    for (std::size_t at = 0; at < config.size();) {
        const std::string_view line = next_line(config.substr(at));
        if (begins_a_block(line)) return std::nullopt;
        if (without_blanks(line) == ssh_include) return at;
        at += line.size();
    }
    return std::nullopt;
}

}  // namespace

std::string ssh_stanza(const SshHost& host) {
    const std::string also = host.address == host.door ? "" : " " + host.address;
    std::string text = "Host " + host.door + also + "\n    HostName " + without_tokens(host.address) + "\n";
    if (host.service.port != ssh_port) text += "    Port " + std::to_string(host.service.port) + "\n";
    return text + "    ProxyCommand oneknock connect --fdpass " + host.door + " " + host.service_name +
           "\n    ProxyUseFdpass yes\n";
}

std::string ssh_file(const SshHost& host) {
    return std::string(file_mark) + "changes are lost at its next call.\n# To undo it: oneknock ssh-config " +
           host.door + " --remove\n" + ssh_stanza(host);
}

bool is_ssh_file(std::string_view text) { return text.starts_with(file_mark); }

std::string with_include(std::optional<std::string_view> config) {
    const std::string line = std::string(ssh_include) + "\n";
    if (!config) return std::string(config_mark) + line;
    return find_include(*config) ? std::string(*config) : line + std::string(*config);
}

std::optional<std::string> without_include(std::string_view config) {
    if (config == with_include(std::nullopt)) return std::nullopt;
    std::string left(config);
    if (const auto at = find_include(config)) left.erase(*at, next_line(config.substr(*at)).size());
    return left;
}

}  // namespace oneknock
