#include "server/key_passing.hpp"

#include <algorithm>

#include <sys/inotify.h>

#include "keys/keyring.hpp"

namespace oneknock {
namespace {

Result<void> pass_one(const std::string& path, bool is_door, Channel& gatekeeper) {
    const auto file = open_to_read(path);
    if (!file) return tl::unexpected(file.error());
    PassedKeyFile passed;
    passed.is_door = is_door;
    // The end of a long path is what tells files apart.
    const std::string_view name = std::string_view(path).substr(path.size() - std::min(path.size(), PassedKeyFile::longest_name));
    std::ranges::copy(name, passed.name);
    if (!gatekeeper.send_with(datagram_of(passed), file->get()))
        return fail(Exit::software, "the gatekeeper does not take the key files");
    return {};
}

}  // namespace

Result<void> pass_keys(const DaemonConfig& config, Channel& gatekeeper) {
    const auto clients = client_paths(config.clients);
    if (!clients) return tl::unexpected(clients.error());
    KeyFilesEnd end;
    Result<void> result = pass_one(config.door, true, gatekeeper);
    if (result) ++end.count;
    for (const std::string& path : *clients) {
        if (result) result = pass_one(path, false, gatekeeper);
        if (result) ++end.count;
    }
    if (!result) end.count = 0;  // never the number that arrived: the gatekeeper forgets this load
    gatekeeper.send(end);
    return result;
}

Result<Descriptor> watch_keys(const DaemonConfig& config) {
    Descriptor watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    constexpr std::uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
    if (!watch || inotify_add_watch(watch.get(), config.clients.c_str(), changes | IN_ONLYDIR) < 0)
        return tl::unexpected(system_error("watch", config.clients));
    return watch;
}

}  // namespace oneknock
