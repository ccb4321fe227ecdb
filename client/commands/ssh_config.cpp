#include "client/commands/commands.hpp"
#include "client/door/key_store.hpp"
#include "client/ssh/ssh_files.hpp"
#include "client/ssh/ssh_stanza.hpp"
#include "common/fd.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

// Nothing secret of the key is needed, and so no passphrase.
Result<SshHost> host_of(const SshConfigOptions& options) {
    const auto files = find_imported(options.door);
    if (!files) return tl::unexpected(files.error());
    auto stored = read_stored_key(files->key);
    if (!stored) return tl::unexpected(stored.error());
    const OpenedDoor door{files->key, is_encrypted(*stored) ? std::get<EncryptedKey>(*std::move(stored)).key
                                                            : std::get<KeyFile>(*std::move(stored))};
    const auto service = find_service(door, options.service);
    if (!service) return tl::unexpected(service.error());
    if (service->protocol != protocol_tcp)
        return fail(ExitCode::usage, options.service + " is " + service->text() + "; ssh needs a service of TCP");
    return SshHost{options.door, door.key.door.address, options.service, *service};
}

Result<void> install(const SshFiles& files, const SshHost& host) {
    return install_ssh_file(files, ssh_file(host)).and_then([&] {
        return print_line("installed: " + printable(files.ours) + ", which " + printable(files.config) +
                          " includes; \"ssh " + host.door + "\" knocks by itself");
    });
}

Result<void> remove(const SshFiles& files) {
    return remove_ssh_file(files).and_then([&] { return print_line("removed: " + printable(files.ours)); });
}

Error not_by_path(const std::string& door) {
    return {
        ExitCode::usage,
        "ssh-config takes the name of an imported door (see: oneknock list); import the key first: oneknock import " +
            shell_word(door)};
}

}  // namespace

// Of a door that was removed meanwhile as well.
Result<void> ssh_config_command(const SshConfigOptions& options) {
    if (!is_door_name(options.door)) return tl::unexpected(not_by_path(options.door));
    const auto files = ssh_files(options.door);
    if (options.action == SshConfigAction::remove)
        return files ? remove(*files) : Result<void>(tl::unexpected(files.error()));
    const auto host = host_of(options);
    if (!host) return tl::unexpected(host.error());
    if (options.action == SshConfigAction::print) return write_standard_output(as_bytes(ssh_stanza(*host)));
    return files ? install(*files, *host) : Result<void>(tl::unexpected(files.error()));
}

}  // namespace oneknock
