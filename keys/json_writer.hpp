// Writes the project's JSON files: pretty-printed, in locked memory, so that a secret is text nowhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/secret.hpp"

namespace oneknock {

// The outermost object is open from the start. Members come out in the order of the calls; an empty `name` is right
// for the items of an array, and only there.
class JsonWriter {
public:
    JsonWriter();

    void begin_object(std::string_view name = {}) { begin(name, '{', '}'); }
    void begin_array(std::string_view name) { begin(name, '[', ']'); }
    void end();  // of the innermost object or array

    void string(std::string_view name, std::string_view text);
    void integer(std::string_view name, std::int64_t value);
    void boolean(std::string_view name, bool value);
    void null(std::string_view name);
    void secret(std::string_view name, const Secret32& secret);
    void duration(std::string_view name, Seconds value) { string(name, duration_text(value)); }
    void time(std::string_view name, UnixTime time) { string(name, time_text(time)); }
    void time_or_null(std::string_view name, const std::optional<UnixTime>& time);
    void strings(std::string_view name, const std::vector<std::string>& texts);  // a list on one line

    // Closes what is open; the text ends in a line feed.
    [[nodiscard]] SecretBytes finish() &&;

private:
    void begin(std::string_view name, char opening, char closing);
    void start_member(std::string_view name);
    void start_line();
    void append(std::string_view text);

    SecretBytes text_;
    std::size_t length_ = 0;
    std::vector<char> closing_;  // of what is open, innermost last
    bool empty_ = true;          // the innermost has no member yet
};

}  // namespace oneknock
