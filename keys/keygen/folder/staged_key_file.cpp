#include "keys/keygen/folder/staged_key_file.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <unistd.h>

#include "common/files.hpp"
#include "common/log.hpp"
#include "keys/enrolment.hpp"
#include "keys/keygen/folder/atomic_files.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

Result<void> print(const SecretBytes& text) {
    if (isatty(STDOUT_FILENO) != 0 && !is_sealed_for_one(text.text()))
        log::warning("the following lines contain a secret; clear the screen afterwards");
    return write_standard_output(text.bytes());
}

Result<void> make(const Change& change) {
    const ByteSpan text = change.text.bytes();
    return change.before ? replace_file(change.path, text) : create_private_file(change.path, text);
}

// What was not made, or was made by somebody else, stays.
Result<void> take_back(const Change& change) {
    if (!path_exists(change.path)) return {};
    const auto found = read_private_file(change.path);
    if (!found) return tl::unexpected(found.error());
    if (!std::ranges::equal(found->bytes(), change.text.bytes())) return {};
    if (change.before) return replace_file(change.path, change.before->bytes());
    if (std::remove(change.path.c_str()) != 0) return tl::unexpected(system_error("remove", change.path));
    return sync_folder(folder_of(change.path));
}

std::string stopped_run(const std::string& did) {
    return "an earlier run " + did + " but was stopped before it published the key file";
}

}  // namespace

std::string partial_path(const std::string& path) { return path + ".oneknock-partial"; }

KeyFile make_key_file(const Door& door, const Client& client, UnixTime now) {
    const Generation& newest = door.generations.back();
    const Generation& own = client.generations.back();
    KeyFile key;
    key.door = {door.name, door.address, door.id, door.span, newest.secret.copy(), newest.number};
    key.client = {client.name, own.secret.copy(), own.number, client.source, client.max_duration};
    for (const std::string& service : client.allow) key.services.emplace(service, door.services.at(service));
    key.created = now;
    key.expires = client.expires;
    return key;
}

Result<void> check_output(const std::string& path, const DoorFolder& folder) {
    if (path == standard_output) return {};
    if (path_exists(path))
        return fail(ExitCode::cannot_create, path + " already exists; not overwritten. Choose another name");
    std::error_code error;
    if (fs::equivalent(folder_of(path), folder.clients(), error))
        return fail(ExitCode::usage, path + ": a key file belongs on the client; " + folder.clients() +
                                         " is for the server's files; choose another directory");
    return {};
}

Result<void> change_and_publish(const Change& change, const std::function<Result<void>()>& publish,
                                const std::function<void()>& discard) {
    auto done = make(change).and_then(publish);
    if (done) return done;
    if (const auto back = take_back(change).map(discard); !back)
        done.error().message +=
            "; the change to the door could not be undone: " + back.error().message + ". Give the same command again";
    return done;
}

Result<void> publish_key_file(const std::string& output, const SecretBytes& text, const Change& change) {
    if (output == standard_output)
        return change_and_publish(
            change, [&] { return print(text); }, [] {});
    const std::string partial = partial_path(output);
    const auto discard = [&partial] { std::remove(partial.c_str()); };
    discard();  // that of a command that was killed before its change was made
    auto staged = write_new_file(partial, text.bytes()).and_then([&] { return sync_folder(folder_of(partial)); });
    if (!staged) {
        discard();
        return staged;
    }
    return change_and_publish(
        change, [&] { return rename_noreplace(partial, output); }, discard);
}

bool is_partly_published(const std::string& path, const Door& door, const Client& client) {
    if (path == standard_output || path_exists(path)) return false;
    const auto key = read_key_file(partial_path(path));
    return key && key->door.id == door.id && key->client.name == client.name &&
           key->client.secret.equals(client.generations.back().secret);
}

Result<void> finish_publishing(const std::string& path, const std::string& earlier, const KeyFile& key) {
    log::info(stopped_run(earlier) + "; doing so now");
    const std::string partial = partial_path(path);
    const auto found = read_key_file(partial);
    if (!found) return tl::unexpected(found.error());
    if (!found->door.secret.equals(key.door.secret))
        if (auto written = replace_file(partial, key_file_text(key).bytes(), 0600); !written) return written;
    return rename_noreplace(partial, path);
}

tl::unexpected<Error> refuse_to_finish(const std::string& path, const std::string& earlier) {
    return fail(ExitCode::cannot_create, stopped_run(earlier) + ": " + partial_path(path) +
                                             " holds the key. Give that command again to publish it, or remove " +
                                             "that file and give the client another key with `rotate`");
}

}  // namespace oneknock::keygen
