#include "server/privsep/identity.hpp"

#include <cerrno>
#include <charconv>

#include <pwd.h>
#include <unistd.h>

#include "common/fd.hpp"

namespace oneknock {
namespace {

constexpr std::string_view unchanged = "same";

template <class Number>
bool read_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string Identity::text() const {
    return can_change ? std::to_string(uid) + ":" + std::to_string(gid) : std::string(unchanged);
}

std::optional<Identity> Identity::parse(std::string_view text) {
    Identity identity{geteuid(), getegid(), false};
    if (text == unchanged) return identity;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || !read_number(text.substr(0, colon), identity.uid) ||
        !read_number(text.substr(colon + 1), identity.gid))
        return std::nullopt;
    identity.can_change = true;
    return identity;
}

Result<Identity> find_identity(const std::string& user) {
    if (geteuid() != 0) return Identity{geteuid(), getegid(), false};
    errno = 0;
    const passwd* const entry = getpwnam(user.c_str());
    if (entry == nullptr && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO))
        return tl::unexpected(system_error("look up the user", user));
    if (entry == nullptr)
        return fail(ExitCode::config, "field \"user\": there is no user \"" + user +
                                          "\" on this system; create it: useradd --system --no-create-home " + user);
    if (entry->pw_uid == 0 || entry->pw_gid == 0)
        return fail(ExitCode::config, "field \"user\": \"" + user +
                                          "\" is root, or in root's group; the processes that " +
                                          "read packets and keys need a user of their own without privilege");
    return Identity{entry->pw_uid, entry->pw_gid, true};
}

}  // namespace oneknock
