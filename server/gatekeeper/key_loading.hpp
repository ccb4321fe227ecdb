// Key files that arrive as descriptors become a keyring, all or nothing.
#pragma once

#include <optional>
#include <vector>

#include "keys/keyring.hpp"
#include "server/transport.hpp"

namespace oneknock {

// Whether a door can take the place of the other without a restart: what the listener and the firewall know of it is equal.
[[nodiscard]] bool is_same_door(const Door& one, const Door& other);

class KeyLoading {
public:
    // Reads and closes the file's descriptor. After the first error, which may be a lack of locked memory, the rest is
    // only counted.
    void file(const PassedKeyFile& passed, Descriptor descriptor);

    // The keyring, when `expected` files were passed and all are right. 0: they could not all be opened.
    [[nodiscard]] Result<Keyring> finish(std::uint32_t expected);

private:
    [[nodiscard]] Result<void> read(const PassedKeyFile& passed, int descriptor);

    std::optional<Door> door_;
    std::vector<std::pair<std::string, Client>> clients_;  // with the file's name
    std::optional<Error> error_;
    std::uint32_t count_ = 0;
};

}  // namespace oneknock
