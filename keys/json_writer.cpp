#include "keys/json_writer.hpp"

#include <algorithm>
#include <array>

#include "common/json.hpp"

namespace oneknock {
namespace {

constexpr std::size_t usual_size = 4096;  // holds the files of all but the busiest doors
constexpr std::size_t indentation = 2;

}  // namespace

JsonWriter::JsonWriter() : text_(usual_size) {
    append("{");
    closing_.push_back('}');
}

void JsonWriter::begin(std::string_view name, char opening, char closing) {
    start_member(name);
    append({&opening, 1});
    closing_.push_back(closing);
    empty_ = true;
}

void JsonWriter::end() {
    const char closing = closing_.back();
    closing_.pop_back();
    if (!empty_) start_line();
    append({&closing, 1});
    empty_ = false;
}

void JsonWriter::string(std::string_view name, std::string_view text) {
    start_member(name);
    append(json::quote(text));
}

void JsonWriter::integer(std::string_view name, std::int64_t value) {
    start_member(name);
    append(std::to_string(value));
}

void JsonWriter::boolean(std::string_view name, bool value) {
    start_member(name);
    append(value ? "true" : "false");
}

void JsonWriter::null(std::string_view name) {
    start_member(name);
    append("null");
}

void JsonWriter::secret(std::string_view name, const Secret32& secret) {
    start_member(name);
    append("\"");
    constexpr std::array<char, base64_secret_length> room{};
    append({room.data(), room.size()});
    char* const place = reinterpret_cast<char*>(text_.bytes().data()) + length_ - base64_secret_length;
    secret_to_base64(secret, std::span<char, base64_secret_length>{place, base64_secret_length});
    append("\"");
}

void JsonWriter::time_or_null(std::string_view name, const std::optional<UnixTime>& value) {
    if (value) time(name, *value);
    else null(name);
}

void JsonWriter::strings(std::string_view name, const std::vector<std::string>& texts) {
    start_member(name);
    append("[");
    for (const std::string& text : texts) {
        if (&text != &texts.front()) append(", ");
        append(json::quote(text));
    }
    append("]");
}

SecretBytes JsonWriter::finish() && {
    while (!closing_.empty()) end();
    append("\n");
    text_.shrink(length_);
    return std::move(text_);
}

void JsonWriter::start_member(std::string_view name) {
    if (!empty_) append(",");
    empty_ = false;
    start_line();
    if (!name.empty()) append(json::quote(name) + ": ");
}

void JsonWriter::start_line() { append("\n" + std::string(closing_.size() * indentation, ' ')); }

void JsonWriter::append(std::string_view text) {
    if (length_ + text.size() > text_.bytes().size()) {
        SecretBytes larger(std::max(2 * text_.bytes().size(), length_ + text.size()));
        std::ranges::copy(text_.bytes().first(length_), larger.bytes().begin());
        text_ = std::move(larger);
    }
    std::ranges::copy(text, text_.bytes().begin() + static_cast<std::ptrdiff_t>(length_));
    length_ += text.size();
}

}  // namespace oneknock
