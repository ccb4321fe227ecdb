// Passphrases of locked key files: asked for on the terminal or by a program (askpass), or read from a descriptor
// (--key-fd) for scripts.
#pragma once

#include <optional>
#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

class Passphrases {
public:
    // From a descriptor each passphrase is a line. It is closed in the end, so that no program started from here gets
    // it.
    explicit Passphrases(std::optional<int> fd) : fd_(fd.value_or(-1)) {}

    // What is typed is not shown. Empty or longer than longest_passphrase: ExitCode::data; nobody to ask:
    // ExitCode::no_input.
    [[nodiscard]] Result<SecretBytes> ask(const std::string& question);
    // A new one: a person must type it twice.
    [[nodiscard]] Result<SecretBytes> ask_new(const std::string& question);

    // The key with its secrets, and what brought them to light. A person has three attempts.
    struct Unlocked {
        KeyFile key;
        SecretBytes passphrase;
        Secret32 unlocking;  // keys/key_encryption
    };
    [[nodiscard]] Result<Unlocked> unlock(const EncryptedKey& locked, const std::string& path);

private:
    [[nodiscard]] bool asks_a_person() const { return !fd_; }

    Descriptor fd_;
};

}  // namespace oneknock
