#include "common/journal.hpp"

#include "common/text.hpp"
#include "common/unix_datagrams.hpp"

namespace oneknock::journal {
namespace {

constexpr std::size_t longest_value = 4096;

void add(std::string& to, std::string_view name, std::string_view value) {
    to.append(name).append("=").append(printable(value.substr(0, longest_value))).append("\n");
}

}  // namespace

Descriptor connect(const std::string& path) { return connect_datagrams(path); }

std::string entry(char priority, std::string_view line, std::span<const Field> fields) {
    std::string text;
    add(text, "PRIORITY", {&priority, 1});
    add(text, "SYSLOG_IDENTIFIER", "oneknockd");
    add(text, "MESSAGE", line);
    for (const Field& field : fields) add(text, field.name, field.value);
    return text;
}

}  // namespace oneknock::journal
