#include "server/gatekeeper/keys/key_loading.hpp"

#include "common/files.hpp"

namespace oneknock {
namespace {

// Whether a door can take the place of the other without a restart: what the listener knows of it is equal.
bool is_same_door(const Door& one, const Door& other) {
    return one.id == other.id && one.span.text() == other.span.text();
}

// What is derived while a load goes on, for knocks and for the hour: a load that needs the last of the memory fails,
// nothing else.
constexpr std::size_t room_for_knocks = 16;

}  // namespace

void KeyLoading::file(const PassedKeyFile& passed, Descriptor descriptor) {
    ++count_;
    if (error_) return;
    try {
        if (const auto result = read(passed, descriptor.get()); !result) error_ = result.error();
        Secret32::make_room(room_for_knocks);
    } catch (const LockedMemoryError& error) {  // the old and the new keys are in memory together
        error_ = Error{ExitCode::permission, error.what()};
    }
    if (error_) change_ = {};
}

void KeyLoading::missing(const MissingKeyFile& missing) {
    ++count_;
    change_.gone.emplace(missing.client, strnlen(missing.client, longest_name));
}

Result<void> KeyLoading::read(const PassedKeyFile& passed, int descriptor) {
    const std::string name(passed.name, strnlen(passed.name, PassedKeyFile::longest_name));
    const auto content = read_private(descriptor, name);
    if (!content) return tl::unexpected(content.error());
    return passed.is_door ? read_door(content->text(), name) : read_client(content->text(), name);
}

Result<void> KeyLoading::read_door(std::string_view text, const std::string& name) {
    auto door = parse_door(text, name);
    if (!door) return tl::unexpected(door.error());
    if (in_force_ != nullptr && !is_same_door(*door, in_force_->door))
        return fail(ExitCode::config, "door.json now has another id or span; restart oneknockd for that");
    change_.door = std::move(*door);
    return {};
}

// The door comes first, unless it is the one in force.
Result<void> KeyLoading::read_client(std::string_view text, const std::string& name) {
    auto client = parse_client(text, name);
    if (!client) return tl::unexpected(client.error());
    if (in_force_ == nullptr && !change_.door) return fail(ExitCode::software, "the door's file did not come first");
    const Door& door = change_.door ? *change_.door : in_force_->door;
    if (const auto checked = check_client(*client, door, name); !checked) return checked;
    const Client* const before = in_force_ != nullptr ? find_client(*in_force_, client->name) : nullptr;
    const std::string key = client->name;
    if (before != nullptr && is_equal(*client, *before)) change_.clients.erase(key);  // should it have come twice
    else change_.clients.insert_or_assign(key, prepare_(std::move(*client)));
    return {};
}

Result<KeyChange> KeyLoading::finish(const KeyFilesEnd& end) {
    if (!end.is_whole) return fail(ExitCode::no_input, "a key file cannot be opened; the daemon's log says which");
    if (error_) return tl::unexpected(*error_);
    if (count_ != end.count || (in_force_ == nullptr && !change_.door))
        return fail(ExitCode::software, "not all key files arrived");
    return std::move(change_);
}

}  // namespace oneknock
