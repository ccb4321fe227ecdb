// Key files that arrive as descriptors become a change of the keys in force, all or nothing.
#pragma once

#include <functional>

#include "server/gatekeeper/verify/verifier.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

class KeyLoading {
public:
    // `in_force`: the keys, which must live as long; null at the start. `prepare`: called for each client that is new
    // or has changed.
    KeyLoading(const Keyring* in_force, std::function<PreparedClient(Client)> prepare)
        : in_force_(in_force), prepare_(std::move(prepare)) {}

    // Reads and closes the file's descriptor. After the first error, which may be a lack of locked memory, the rest is
    // only counted.
    void file(const PassedKeyFile& passed, Descriptor descriptor);
    void missing(const MissingKeyFile& missing);

    // The change, when everything was passed and all is right.
    [[nodiscard]] Result<KeyChange> finish(const KeyFilesEnd& end);

private:
    [[nodiscard]] Result<void> read(const PassedKeyFile& passed, int descriptor);
    [[nodiscard]] Result<void> read_door(std::string_view text, const std::string& name);
    [[nodiscard]] Result<void> read_client(std::string_view text, const std::string& name);

    const Keyring* in_force_;
    std::function<PreparedClient(Client)> prepare_;
    KeyChange change_;
    std::optional<Error> error_;
    std::uint32_t count_ = 0;
};

}  // namespace oneknock
