#include "common/json.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "common/json_text.hpp"

namespace oneknock::json {
namespace {

constexpr std::size_t deepest = 16;
constexpr std::string_view secret_member = "secret";

// The text as the lexer reads it. Counts lines: the lexer reads one character ahead only behind a number, so the line
// of a token is the number of line ends before the character read last. And passes over the texts of secrets, which the
// lexer would copy into memory that is not locked: it sees an empty string in their place.
class Source {
public:
    explicit Source(std::string_view text) : end_(text.data() + text.size()) {}

    // Behind the character at `at`, as far as the lexer is concerned.
    const char* pass(const char* at) {
        if (at_line_end_) ++line_;
        at_line_end_ = *at == '\n';
        if (*at++ == '"' && expects_secret && is_secret(at)) {
            hidden_ = at;
            at += base64_secret_length;
        }
        return at_ = at;
    }

    [[nodiscard]] int line() const { return line_; }

    // The text that was passed over, if that was in the string that ends here (not in a comment before it).
    [[nodiscard]] std::optional<std::string_view> hidden() const {
        if (hidden_ == nullptr || hidden_ + base64_secret_length + 1 != at_) return std::nullopt;
        return std::string_view(hidden_, base64_secret_length);
    }

    bool expects_secret = false;  // the next string is one

private:
    // A string of the right length in which nothing is escaped.
    [[nodiscard]] bool is_secret(const char* at) const {
        if (end_ - at <= static_cast<std::ptrdiff_t>(base64_secret_length) || at[base64_secret_length] != '"')
            return false;
        return std::all_of(at, at + base64_secret_length, [](char c) { return c > ' ' && c != '"' && c != '\\'; });
    }

    const char* end_;
    const char* at_ = nullptr;
    const char* hidden_ = nullptr;
    int line_ = 1;
    bool at_line_end_ = false;
};

class SourceIterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    SourceIterator(const char* at, Source* source) : at_(at), source_(source) {}
    const char& operator*() const { return *at_; }
    SourceIterator& operator++() {
        at_ = source_->pass(at_);
        return *this;
    }
    SourceIterator operator++(int) {
        const auto before = *this;
        ++*this;
        return before;
    }
    bool operator==(const SourceIterator& other) const { return at_ == other.at_; }
    bool operator!=(const SourceIterator& other) const { return at_ != other.at_; }

private:
    const char* at_;
    Source* source_;
};

// Builds Values from the parser's events.
class Builder : public nlohmann::json_sax<nlohmann::json> {
public:
    Builder(const std::string& file, Source& source) : file_(file), source_(source) {}

    bool null() override { return add(Value::Kind::null) != nullptr; }
    bool boolean(bool value) override {
        Value* added = add(Value::Kind::boolean);
        if (added != nullptr) added->boolean = value;
        return added != nullptr;
    }
    bool number_integer(number_integer_t value) override {
        Value* added = add(Value::Kind::integer);
        if (added != nullptr) added->integer = value;
        return added != nullptr;
    }
    bool number_unsigned(number_unsigned_t value) override {
        if (value > static_cast<number_unsigned_t>(INT64_MAX)) return add(Value::Kind::number) != nullptr;
        return number_integer(static_cast<number_integer_t>(value));
    }
    bool number_float(number_float_t, const string_t&) override { return add(Value::Kind::number) != nullptr; }
    bool binary(binary_t&) override { return false; }
    bool string(string_t& text) override {
        if (next_is_secret()) return secret(text);
        Value* added = add(Value::Kind::string);
        if (added != nullptr) added->text = text;
        return added != nullptr;
    }
    bool key(string_t& name) override {
        auto& members = open_.back()->members;
        if (std::ranges::any_of(members, [&](const Member& m) { return m.name == name; }))
            return stop("field " + quote(name) + " appears twice; remove one");
        members.push_back({name, source_.line(), {}});
        source_.expects_secret = name == secret_member;
        return true;
    }
    bool start_object(std::size_t) override { return start(Value::Kind::object); }
    bool start_array(std::size_t) override { return start(Value::Kind::array); }
    bool end_object() override {
        open_.pop_back();
        return true;
    }
    bool end_array() override { return end_object(); }

    // Whatever the parser says would quote the offending text, which may be a secret: only the place is told.
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
        return stop("not valid JSON here; look for a missing comma, quote or bracket, or a file cut short");
    }

    Value root;
    std::optional<Error> error;

private:
    bool next_is_secret() const {
        return !open_.empty() && open_.back()->kind == Value::Kind::object &&
               open_.back()->members.back().name == secret_member;
    }

    bool secret(string_t& text) {
        Secret32 decoded;
        const bool valid = secret_from_base64(source_.hidden().value_or(text), decoded);
        wipe(text.data(), text.size());
        if (!valid)
            return stop("field \"secret\": not the base64 text of 32 bytes (44 characters); copy the file again");
        Value* added = add(Value::Kind::secret);
        if (added != nullptr) added->secret = std::move(decoded);
        return added != nullptr;
    }

    Value* add(Value::Kind kind) {
        Value* place = &root;
        if (!open_.empty()) {
            Value& parent = *open_.back();
            if (parent.kind == Value::Kind::array) parent.items.emplace_back();
            place = parent.kind == Value::Kind::array ? &parent.items.back() : &parent.members.back().value;
        }
        source_.expects_secret = false;
        place->kind = kind;
        place->line = source_.line();
        return place;
    }

    bool start(Value::Kind kind) {
        if (open_.size() == deepest) return stop("nested too deeply");
        open_.push_back(add(kind));
        return true;
    }

    bool stop(const std::string& what) {
        if (!error)
            error = Error{ExitCode::data, printable(file_ + ":" + std::to_string(source_.line()) + ": " + what)};
        return false;
    }

    const std::string& file_;
    Source& source_;
    std::vector<Value*> open_;  // the containers around the next value; a parent does not grow while a child is open
};

}  // namespace

Result<Value> parse(std::string_view text, const std::string& file) {
    Source source(text);
    Builder builder(file, source);
    const SourceIterator first(text.data(), &source), last(text.data() + text.size(), &source);
    const bool parsed =
        nlohmann::json::sax_parse(first, last, &builder, nlohmann::json::input_format_t::json, true, true);
    if (builder.error) return tl::unexpected(*builder.error);
    if (!parsed) return fail(ExitCode::data, printable(file) + ": not valid JSON");
    return std::move(builder.root);
}

void Context::complain(int line, std::string_view field, std::string_view what, ExitCode exit) {
    if (error_) return;
    std::string message = file_ + ":" + std::to_string(line) + ": ";
    if (!field.empty()) message += "field " + quote(field) + ": ";
    error_ = Error{exit, printable(message.append(what))};
}

Object::Object(Context& context, const Value& value, std::string path)
    : context_(context), value_(value), path_(std::move(path)), taken_(value.members.size()) {
    if (value.kind != Value::Kind::object) context_.complain(value.line, path_, "must be an object, in braces");
}

std::string Object::field(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

bool Object::has(std::string_view name) const {
    return std::ranges::any_of(value_.members, [&](const Member& m) { return m.name == name; });
}

int Object::line(std::string_view name) const {
    const auto found = std::ranges::find(value_.members, name, &Member::name);
    return found == value_.members.end() ? value_.line : found->line;
}

const Value* Object::take(std::string_view name, bool required) {
    if (context_.failed()) return nullptr;
    for (std::size_t i = 0; i < value_.members.size(); ++i)
        if (value_.members[i].name == name) {
            taken_[i] = true;
            return &value_.members[i].value;
        }
    if (required) complain(name, "is missing");
    return nullptr;
}

const Value* Object::take(std::string_view name, bool required, Value::Kind kind, std::string_view wanted) {
    const Value* found = take(name, required);
    if (found == nullptr || found->kind == kind) return found;
    if (!required && found->kind == Value::Kind::null) return nullptr;
    complain(name, "must be " + std::string(wanted));
    return nullptr;
}

std::string Object::string(std::string_view name) {
    const Value* found = take(name, true, Value::Kind::string, "a string");
    return found == nullptr ? std::string() : found->text;
}

std::optional<std::string> Object::optional_string(std::string_view name) {
    const Value* found = take(name, false, Value::Kind::string, "a string or null");
    return found == nullptr ? std::nullopt : std::optional(found->text);
}

std::int64_t Object::integer(std::string_view name, std::int64_t low, std::int64_t high) {
    if (!has(name)) {
        complain(name, "is missing");
        return low;
    }
    return optional_integer(name, low, high).value_or(low);
}

std::optional<std::int64_t> Object::optional_integer(std::string_view name, std::int64_t low, std::int64_t high) {
    const Value* found = take(name, false, Value::Kind::integer, "a whole number");
    if (found == nullptr) return std::nullopt;
    if (found->integer >= low && found->integer <= high) return found->integer;
    complain(name, "must be from " + std::to_string(low) + " to " + std::to_string(high));
    return std::nullopt;
}

bool Object::boolean(std::string_view name) {
    const Value* found = take(name, true, Value::Kind::boolean, "true or false");
    return found != nullptr && found->boolean;
}

Secret32 Object::secret(std::string_view name) {
    const Value* found = take(name, true, Value::Kind::secret, "a secret: the base64 text of 32 bytes");
    return found == nullptr ? Secret32() : found->secret->copy();
}

const Value* Object::array(std::string_view name) {
    return take(name, true, Value::Kind::array, "a list, in brackets");
}

const Value* Object::object(std::string_view name) {
    return take(name, true, Value::Kind::object, "an object, in braces");
}

const Value* Object::optional_object(std::string_view name) {
    return take(name, false, Value::Kind::object, "an object, in braces");
}

std::vector<std::string> Object::strings(std::string_view name) {
    std::vector<std::string> texts;
    const Value* list = array(name);
    if (list == nullptr) return texts;
    for (const Value& item : list->items) {
        if (item.kind != Value::Kind::string) context_.complain(item.line, field(name), "must be a list of strings");
        texts.push_back(item.text);
    }
    return texts;
}

void Object::null(std::string_view name) {
    const Value* found = take(name, false);
    if (found != nullptr && found->kind != Value::Kind::null) complain(name, "must be null in this version");
}

void Object::header(std::string_view kind) {
    if (context_.failed()) return;
    const std::string found = string("oneknock");
    if (!context_.failed() && found != kind)
        complain("oneknock", "is " + quote(found) + ", but a file of kind " + quote(kind) + " is wanted here");
    const std::int64_t version = integer("version", 1, INT64_MAX);
    if (!context_.failed() && version > 1)
        complain("version",
                 std::to_string(version) + " is newer than this program, which reads version 1; update oneknock");
}

void Object::complain(std::string_view name, std::string_view what) {
    context_.complain(line(name), field(name), what);
}

void Object::finish() {
    for (std::size_t i = 0; i < value_.members.size(); ++i) {
        const Member& member = value_.members[i];
        if (!taken_[i] && !member.name.starts_with("x-"))
            context_.complain(member.line, field(member.name),
                              "is unknown; correct its name or remove it (names of your own start with \"x-\")");
    }
}

std::string quote(std::string_view string) { return text(nlohmann::ordered_json(string)); }

// nlohmann's escapes those below U+0020 alone, or all beyond ASCII.
std::string text(const nlohmann::ordered_json& value) {
    const std::string dumped = value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    std::string escaped;
    escaped.reserve(dumped.size());
    for (std::size_t at = 0; at < dumped.size(); ++at) {
        const bool is_latin = dumped[at] == '\xc2' && static_cast<std::uint8_t>(dumped[at + 1]) < 0xa0;
        if (is_latin) ++at;  // the second byte is the character's number
        if (is_latin || dumped[at] == '\x7f') {
            char code[sizeof "\\u00ff"];
            std::snprintf(code, sizeof code, "\\u%04x", static_cast<std::uint8_t>(dumped[at]));
            escaped += code;
        } else {
            escaped += dumped[at];
        }
    }
    return escaped;
}

}  // namespace oneknock::json
