#include "server/gatekeeper/keys/key_loading.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/files.hpp"

namespace oneknock {
namespace {

// What is derived while a load goes on, for knocks and for the hour: a file that needs the last of the memory is not
// taken in, and nothing else suffers.
constexpr std::size_t room_for_knocks = 16;

std::string text_of(const FileName& name) { return {name, strnlen(name, longest_file_name)}; }

std::string name_of(const std::string& path) { return std::filesystem::path(path).filename().string(); }

Error why_unopened(const UnopenedKeyFile& unopened) {
    const std::string path = text_of(unopened.name);
    if (unopened.error == 0) return {ExitCode::data, path + ": not a regular file; take it away"};
    errno = unopened.error;
    const bool is_folder = unopened.place == UnopenedKeyFile::Place::folder;
    return system_error(is_folder ? "read the clients' directory" : "open", path, ExitCode::no_input);
}

}  // namespace

std::string client_of(const std::string& file) {
    const std::string stem = std::filesystem::path(file).stem().string();
    return is_valid_name(stem) ? stem : "";
}

void KeyLoading::file(const PassedKeyFile& passed, Descriptor descriptor) {
    ++count_;
    const std::string path = text_of(passed.name), file = passed.is_door ? door_file : name_of(path);
    try {
        const auto result = read(path, passed.is_door, descriptor.get());
        Secret32::make_room(room_for_knocks);
        if (result) loaded_.right.insert(file);
        else note_wrong(file, result.error());
        // What is wrong with the disk may pass, though the file stays as it is.
        if (!result && result.error().code == ExitCode::system) loaded_.fits = false;
    } catch (const LockedMemoryError& error) {  // the old and the new keys are in memory together
        note_lack_of_memory(file, error.what());
    }
}

void KeyLoading::unopened(const UnopenedKeyFile& unopened) {
    ++count_;
    using Place = UnopenedKeyFile::Place;
    const std::string file = unopened.place == Place::door     ? door_file
                             : unopened.place == Place::folder ? clients_folder
                                                               : name_of(text_of(unopened.name));
    note_wrong(file, why_unopened(unopened));
    // A link that leads nowhere: what it led to is gone.
    const bool is_gone = unopened.error == ENOENT || unopened.error == ENOTDIR;
    if (is_gone && unopened.place == Place::client) loaded_.change.gone.insert(client_of(file));
}

void KeyLoading::missing(const MissingKeyFile& missing) {
    ++count_;
    const std::string file = name_of(text_of(missing.name));
    loaded_.change.gone.insert(client_of(file));
    loaded_.right.insert(file);
}

void KeyLoading::note_wrong(const std::string& file, const Error& error) {
    const bool is_clients = file != door_file && file != clients_folder;
    if (!in_force_ && !is_clients && !fatal_) fatal_ = error;
    loaded_.wrong[file] = {is_clients ? client_of(file) : "", error.message};
}

void KeyLoading::note_lack_of_memory(const std::string& file, const std::string& what) {
    loaded_.change.clients.erase(client_of(file));
    loaded_.fits = false;
    const Error error{ExitCode::permission, what};
    if (!in_force_ && !fatal_) fatal_ = error;
    note_wrong(file, error);
}

Result<void> KeyLoading::read(const std::string& path, bool is_door, int descriptor) {
    const auto content = read_private(descriptor, path);
    if (!content) return tl::unexpected(content.error());
    return is_door ? read_door(content->text(), path) : read_client(content->text(), path);
}

Result<void> KeyLoading::read_door(std::string_view text, const std::string& path) {
    auto door = parse_door(text, path);
    if (!door) return tl::unexpected(door.error());
    if (in_force_) return take_door(std::move(*door), path);
    loaded_.change.door = std::move(*door);
    return {};
}

// Of a door with another span, which the listener does not learn of without a restart, all else acts.
Result<void> KeyLoading::take_door(Door door, const std::string& path) {
    const Door& before = in_force_->keyring.door;
    if (door.id != before.id)
        return fail(
            ExitCode::config,
            path + ": has the id of another door; the one in force stays in force until oneknockd is restarted");
    const bool has_same_span = door.span.text() == before.span.text();
    door.span = before.span;
    if (!is_equal(door, before)) loaded_.change.door = std::move(door);
    if (has_same_span) return {};
    return fail(ExitCode::config, path + ": has another span; restart oneknockd for that");
}

// The door comes first, unless it is the one in force.
Result<void> KeyLoading::read_client(std::string_view text, const std::string& path) {
    auto client = parse_client(text, path);
    if (!client) return tl::unexpected(client.error());
    if (const auto checked = check_file_name(*client, path); !checked) return checked;
    // Later on, a service that the door does not have may be one that it will have after a restart.
    if (!in_force_ && loaded_.change.door)
        if (const auto checked = check_services(*client, *loaded_.change.door, path); !checked) return checked;
    const Client* const before = in_force_ ? find_client(in_force_->keyring, client->name) : nullptr;
    const std::string key = client->name;
    if (before != nullptr && is_equal(*client, *before)) loaded_.change.clients.erase(key);  // should it come twice
    else loaded_.change.clients.insert_or_assign(key, prepare_(std::move(*client)));
    return {};
}

Result<LoadedKeys> KeyLoading::finish(const KeyFilesEnd& end) {
    if (fatal_) return tl::unexpected(*fatal_);
    if (count_ != end.count || (!in_force_ && !loaded_.change.door))
        return fail(ExitCode::software, "not all key files arrived");
    if (!loaded_.wrong.contains(clients_folder)) loaded_.right.insert(clients_folder);
    loaded_.change.gone.erase("");
    return std::move(loaded_);
}

}  // namespace oneknock
