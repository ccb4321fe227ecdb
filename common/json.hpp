// Strict reading of the project's JSON files, and writing of JSON text (nlohmann_json behind it).
//
// Strict: duplicate names are refused, unknown fields are refused except those that start with "x-", every error
// names file, line and field. Lenient: // and /* */ comments are allowed. The string of a member called "secret" is
// decoded from base64 straight into locked memory and never kept as text, nor copied on the way: `text` should be
// locked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "common/secret.hpp"
#include "common/text.hpp"

namespace oneknock::json {

struct Member;

struct Value {
    enum class Kind : std::uint8_t { null, boolean, integer, number, string, secret, array, object };

    Kind kind = Kind::null;
    bool boolean = false;
    int line = 0;
    std::int64_t integer = 0;
    std::string text;                // string
    std::optional<Secret32> secret;  // secret
    std::vector<Value> items;        // array
    std::vector<Member> members;     // object, in the file's order
};

struct Member {
    std::string name;
    int line = 0;
    Value value;
};

// `file` is the name for messages. Nested at most 16 deep.
[[nodiscard]] Result<Value> parse(std::string_view text, const std::string& file);

// Where a reading stands: the file's name and the first error met. After it every getter returns a default, so a
// schema is read in straight lines and checked once, at the end.
class Context {
public:
    explicit Context(std::string_view file) : file_(printable(file)) {}

    // Records "FILE:LINE: field "FIELD": WHAT" as the first error, unless there is one. What a file says may be quoted
    // in it: the error is made printable.
    void complain(int line, std::string_view field, std::string_view what, ExitCode exit = ExitCode::data);
    [[nodiscard]] bool failed() const { return error_.has_value(); }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }
    [[nodiscard]] const std::string& file() const { return file_; }

private:
    std::string file_;
    std::optional<Error> error_;
};

// Reads the members of one object. finish() must be called last: it complains about members nobody asked for.
class Object {
public:
    Object(Context& context, const Value& value, std::string path = {});

    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] int line(std::string_view name) const;  // the member's, or the object's if it is not there

    std::string string(std::string_view name);
    std::optional<std::string> optional_string(std::string_view name);  // absent or null: nothing
    std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high);
    std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t low, std::int64_t high);
    bool boolean(std::string_view name);
    Secret32 secret(std::string_view name);
    const Value* array(std::string_view name);   // null after a complaint
    const Value* object(std::string_view name);  // null after a complaint
    const Value* optional_object(std::string_view name);
    std::vector<std::string> strings(std::string_view name);
    void null(std::string_view name);  // must be absent or null

    // Checks the header every file of ours starts with: {"oneknock": KIND, "version": 1, ...}.
    void header(std::string_view kind);

    // Records an error about one of this object's members.
    void complain(std::string_view name, std::string_view what);
    void finish();

private:
    const Value* take(std::string_view name, bool required);
    const Value* take(std::string_view name, bool required, Value::Kind kind, std::string_view wanted);
    [[nodiscard]] std::string field(std::string_view name) const;

    Context& context_;
    const Value& value_;
    std::string path_;
    std::vector<bool> taken_;
};

// Writing: a JSON string, quoted and escaped as by text().
[[nodiscard]] std::string quote(std::string_view string);

}  // namespace oneknock::json
