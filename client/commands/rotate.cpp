#include <thread>

#include "client/commands/commands.hpp"
#include "client/commands/keep_open.hpp"
#include "client/commands/next_key.hpp"
#include "client/commands/open_and_wait.hpp"
#include "client/door/key_store.hpp"
#include "client/door/passphrase.hpp"
#include "client/message/make_message.hpp"
#include "common/fd.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/key_encryption.hpp"
#include "keys/rotation.hpp"

namespace oneknock {
namespace {

// A knock may be lost where nobody can see it, and the audit is written a moment behind.
constexpr int most_proofs = 3;
constexpr auto pause_before_another_proof = std::chrono::seconds{1};

// One run of the command.
struct Rotation {
    const RotateOptions& options;
    DoorFiles files;
    Passphrases passphrases;                     // of both keys, which have the same
    std::optional<SecretBytes> passphrase = {};  // once it was asked for
};

Result<KeyFile> unlock(Rotation& rotation, StoredKey stored, const std::string& path) {
    if (!is_encrypted(stored)) return std::get<KeyFile>(std::move(stored));
    const auto& locked = std::get<EncryptedKey>(stored);
    if (rotation.passphrase) return decrypt_key(locked, *rotation.passphrase, path);
    return rotation.passphrases.unlock(locked, path).map([&](Passphrases::Unlocked&& unlocked) {
        rotation.passphrase = std::move(unlocked.passphrase);
        return std::move(unlocked.key);
    });
}

// In the form in which its predecessor is stored.
Result<StoredKey> locked_likewise(KeyFile key, const std::optional<SecretBytes>& passphrase) {
    if (!passphrase) return StoredKey{std::move(key)};
    return encrypt_key(key, *passphrase).map([](EncryptedKey&& locked) { return StoredKey{std::move(locked)}; });
}

// No name and no network is needed for it: `knock` is told the key.
Result<PreparedKnock> prepare(KeyFile key, const std::string& path, KnockOptions& knock) {
    OpenedDoor door{path, std::move(key)};
    const auto service = find_service(door, knock.service);
    if (!service) return tl::unexpected(service.error());
    if (service->protocol != protocol_tcp) knock.wait.reset();  // nobody can see whether it opens
    return prepare_knock(std::move(door), knock, Patience::will_wait);
}

Result<void> open_service(const PreparedKnock& prepared, const KnockOptions& knock) {
    if (!knock.wait) return knock_unwatched(prepared, knock);
    return open_and_wait(prepared, knock).map([](const Descriptor&) {});
}

Error with_warning(Error error) {
    error.message +=
        "\nthe present key is kept. If the server has made the next one all the same, the present one ends " +
        duration_text(default_overlap) + " from now: give the same command again before";
    return error;
}

// Whatever fails here may leave a rotation at the server whose key nobody has.
Result<void> bring_next_key(const Rotation& rotation, const KeyFile& present) {
    return fetch_next_key(rotation.options, present)
        .and_then([&](KeyFile&& next) { return locked_likewise(std::move(next), rotation.passphrase); })
        .and_then([&](const StoredKey& next) {
            return create_private_file(rotation.files.pending, stored_key_text(next).bytes());
        })
        .map_error(with_warning);
}

// With the present key, so that ssh gets through; then the next one, stored beside it.
Result<void> get_next_key(Rotation& rotation, StoredKey present) {
    const DoorFiles& files = rotation.files;
    KnockOptions knock = rotation.options.knock;
    auto prepared =
        message_time(knock, read_clocks().wall)
            .and_then([&](UnixTime time) { return check_not_expired(clear_part(present), files.key, time); })
            .and_then([&] { return unlock(rotation, std::move(present), files.key); })
            .and_then([&](KeyFile&& key) { return prepare(std::move(key), files.key, knock); });
    if (!prepared) return tl::unexpected(prepared.error());
    if (auto opened = open_service(*prepared, knock); !opened) return opened;
    const KeyFile& key = prepared->door.key;
    return check_is_this_door(rotation.options, key).and_then([&] { return bring_next_key(rotation, key); });
}

// Knocks with it until the server says that it was used: a port that opens may have been opened by the older key, and
// of a UDP service nothing is seen.
Result<void> prove(const RotateOptions& options, const PreparedKnock& prepared, const KnockOptions& knock) {
    for (int left = most_proofs; left > 0; --left) {
        if (auto opened = open_service(prepared, knock); !opened) return opened;
        const auto used = was_used(options, prepared.door.key);
        if (!used) return tl::unexpected(used.error());
        if (*used) return {};
        std::this_thread::sleep_for(pause_before_another_proof);
    }
    return fail(ExitCode::try_later, "the server does not say that the next key was used");
}

Result<void> prove_pending(Rotation& rotation) {
    const DoorFiles& files = rotation.files;
    KnockOptions knock = rotation.options.knock;
    const auto prepared =
        read_stored_key(files.pending)
            .and_then([&](StoredKey&& next) { return unlock(rotation, std::move(next), files.pending); })
            .and_then([&](KeyFile&& key) { return prepare(std::move(key), files.pending, knock); });
    if (!prepared) return tl::unexpected(prepared.error());
    return prove(rotation.options, *prepared, knock).map_error([&](const Error& error) {
        return Error{error.code, error.message + "\nboth keys are kept, the next one in " + printable(files.pending) +
                                     ": give the same command again, or remove that file to start over"};
    });
}

Result<void> replace_by_pending(const KeysLock& lock, const DoorFiles& files) {
    const auto present = read_stored_key(files.key);
    if (!present) return tl::unexpected(present.error());
    const auto pending = read_stored_key(files.pending);
    if (!pending) return tl::unexpected(pending.error());
    return replace_stored_key(lock, files.key, *present, *pending)
        .and_then([&] { return remove_file(files.pending); })
        .and_then([&] { return sync_folder(folder_of(files.pending)); })
        .and_then([&] {
            return print_line("rotated: " + printable(files.key) + ": generation " +
                              std::to_string(clear_part(*pending).client.generation) +
                              " is used from now on; the server ends the older one by itself");
        });
}

// Before the next key is used, which ends the present one.
Result<void> check_keeps_passphrase(const StoredKey& present, const StoredKey& next, const DoorFiles& files) {
    if (!is_encrypted(present) || is_encrypted(next)) return {};
    return fail(ExitCode::cannot_create,
                printable(files.key) + " has a passphrase, and the next key, in " + printable(files.pending) +
                    ", has none; nothing was changed. This puts it in place with the passphrase: oneknock import " +
                    shell_word(files.pending));
}

// What an earlier run has left: it is told, and whether there is anything to do.
enum class Left : std::uint8_t { nothing, next_key, replaced_key };

Result<Left> left_behind(const DoorFiles& files, const StoredKey& present) {
    if (!is_there(files.pending)) return Left::nothing;
    const auto pending = read_stored_key(files.pending);
    if (!pending) return tl::unexpected(pending.error());
    const std::uint32_t next = clear_part(*pending).client.generation;
    const std::string generation = std::to_string(next);
    const bool is_newer = next > clear_part(present).client.generation;
    if (is_newer)
        if (auto keeps = check_keeps_passphrase(present, *pending, files); !keeps) return tl::unexpected(keeps.error());
    log::info("an earlier run got generation " + generation +
              (is_newer
                   ? ", and did not see it used; trying it now"
                   : ", which is in place, or older than what is; its copy is removed, and nothing else was done"));
    return is_newer ? Left::next_key : Left::replaced_key;
}

}  // namespace

Result<void> rotate_command(const RotateOptions& options) {
    const auto files = find_imported(options.knock.door);
    if (!files) return tl::unexpected(files.error());
    const auto lock = KeysLock::take(folder_of(files->key));
    if (!lock) return tl::unexpected(lock.error());
    Rotation rotation{options, *files, Passphrases(options.knock.key_fd)};
    auto present = read_stored_key(files->key);
    if (!present) return tl::unexpected(present.error());
    const auto left = left_behind(*files, *present);
    if (!left) return tl::unexpected(left.error());
    if (*left == Left::replaced_key) return remove_file(files->pending);
    if (*left == Left::nothing)
        if (auto got = get_next_key(rotation, *std::move(present)); !got) return got;
    return prove_pending(rotation).and_then([&] { return replace_by_pending(*lock, *files); });
}

}  // namespace oneknock
