#include "server/gatekeeper/key_loading.hpp"

#include <algorithm>

namespace oneknock {

bool is_same_door(const Door& one, const Door& other) {
    return one.id == other.id && one.span.text() == other.span.text() && one.services == other.services;
}

void KeyLoading::file(const PassedKeyFile& passed, Descriptor descriptor) {
    ++count_;
    if (error_) return;
    try {
        if (const auto result = read(passed, descriptor.get()); !result) error_ = result.error();
    } catch (const LockedMemoryError& error) {
        error_ = Error{Exit::permission, error.what()};
    }
}

Result<void> KeyLoading::read(const PassedKeyFile& passed, int descriptor) {
    const std::string name(passed.name, strnlen(passed.name, PassedKeyFile::longest_name));
    const auto content = read_private(descriptor, name);
    if (!content) return tl::unexpected(content.error());
    if (passed.is_door) {
        auto door = parse_door(content->text(), name);
        if (!door) return tl::unexpected(door.error());
        door_ = std::move(*door);
        return {};
    }
    auto client = parse_client(content->text(), name);
    if (!client) return tl::unexpected(client.error());
    clients_.emplace_back(name, std::move(*client));
    return {};
}

Result<Keyring> KeyLoading::finish(std::uint32_t expected) {
    if (expected == 0) return fail(Exit::no_input, "a key file cannot be opened; the daemon's log says which");
    if (error_) return tl::unexpected(*error_);
    if (!door_ || count_ != expected) return fail(Exit::software, "not all key files arrived");
    Keyring keyring{std::move(*door_), {}};
    for (auto& [name, client] : clients_) {
        const auto checked = check_client(client, keyring.door, name);
        if (!checked) return tl::unexpected(checked.error());
        keyring.clients.push_back(std::move(client));
    }
    std::ranges::sort(keyring.clients, {}, &Client::name);
    return keyring;
}

}  // namespace oneknock
