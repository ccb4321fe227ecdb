#include "client/door/enrolments.hpp"

#include "client/door/door_folder.hpp"
#include "common/files.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr std::string_view suffix = ".enrolment";
constexpr std::size_t length_in_name = 8;  // bytes of the identity

std::string path_of(const std::string& folder, const std::string& name) {
    return (folder + "/").append(name).append(suffix);
}

std::string path_of(const std::string& folder, const EnrolmentId& id) {
    return path_of(folder, to_hex(ByteSpan(id).first(length_in_name)));
}

Result<EnrolmentKey> read_enrolment_key(const std::string& path) {
    const auto text = read_private_file(path);
    if (!text) return tl::unexpected(text.error());
    return parse_enrolment_key(text->text(), path);
}

tl::unexpected<Error> is_not_here(const std::string& path) {
    return fail(ExitCode::no_input,
                "there is no " + printable(path) +
                    ", the half that opens this key: it was used before, has expired, or is another user's or "
                    "machine's. Run oneknock enrol here, and have the key sealed for the new string");
}

tl::unexpected<Error> has_expired(const std::string& path, UnixTime end) {
    return fail(ExitCode::data, printable(path) + ": expired at " + time_text(end) +
                                    "; run oneknock enrol again, and have the key sealed for the new string");
}

}  // namespace

Result<std::string> keep_enrolment(const std::string& folder, const EnrolmentKey& key) {
    std::string path = path_of(folder, key.shown().id);
    return create_private_file(path, enrolment_key_text(key).bytes()).map([&] { return std::move(path); });
}

Result<KeptEnrolment> find_enrolment(const std::string& folder, const EnrolmentId& id, UnixTime now) {
    std::string path = path_of(folder, id);
    if (!is_there(path)) return is_not_here(path);
    auto key = read_enrolment_key(path);
    if (!key) return tl::unexpected(key.error());
    if (key->expires <= now) return has_expired(path, key->expires);
    if (key->shown().id != id) return is_not_here(path);
    return KeptEnrolment{std::move(path), *std::move(key)};
}

Result<void> forget_enrolment(const std::string& path) {
    return remove_file(path).and_then([&] { return sync_folder(folder_of(path)); });
}

void forget_expired_enrolments(const std::string& folder, UnixTime now) {
    for (const std::string& name : names_in(folder, suffix)) {
        const std::string path = path_of(folder, name);
        const auto key = read_enrolment_key(path);
        if (key && key->expires <= now) static_cast<void>(forget_enrolment(path));
    }
}

}  // namespace oneknock
