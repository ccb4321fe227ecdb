#include "keys/names.hpp"

#include <algorithm>

namespace oneknock {
namespace {

// Not isalnum: its answer depends on the locale.
bool is_letter_or_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_one_of(char c, std::string_view others) { return is_letter_or_digit(c) || others.find(c) != others.npos; }

}  // namespace

bool is_valid_name(std::string_view name) {
    return !name.empty() && name.size() <= longest_name && is_letter_or_digit(name.front()) &&
           std::ranges::all_of(name, [](char c) { return is_one_of(c, "._-@"); });
}

bool is_valid_interface_name(std::string_view name) {
    // The kernel's dev_valid_name() also refuses ':' and, as white space of Latin-1, 0xa0; control characters it would
    // take, but they have no business in our log lines.
    const auto is_refused = [](char c) {
        return (c >= 0 && c <= ' ') || c == '/' || c == ':' || c == 0x7f || c == '\xa0';
    };
    return !name.empty() && name.size() <= longest_interface_name && name != "." && name != ".." &&
           std::ranges::none_of(name, is_refused);
}

bool is_valid_host(std::string_view host) {
    // A leading '-' would become an option wherever a host name is put on a command line.
    return !host.empty() && host.size() <= longest_host && host.front() != '-' &&
           std::ranges::all_of(host, [](char c) { return is_one_of(c, "._-:%"); });
}

}  // namespace oneknock
