// What a client holds: the file of kind "client-key".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/port_span.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/source_policy.hpp"

namespace oneknock {

struct KeyFile {
    struct Door {
        std::string name;
        std::string address;  // host name or numeric address
        DoorId id;
        PortSpan span;
        Secret32 secret;
        std::uint32_t generation = 1;
    };
    struct Client {
        std::string name;
        Secret32 secret;
        std::uint32_t generation = 1;
        SourcePolicy source;
        Seconds max_duration{60};
    };
    Door door;
    Client client;
    std::map<std::string, Service> services;  // what the client is allowed
    UnixTime created{};
    std::optional<UnixTime> expires;
};

// `name` is the file's name for messages.
[[nodiscard]] Result<KeyFile> parse_key_file(std::string_view text, const std::string& name);
[[nodiscard]] Result<KeyFile> read_key_file(const std::string& path);  // with read_private_file's checks

// The file's text, ending in a line feed, in locked memory.
[[nodiscard]] SecretBytes key_file_text(const KeyFile& key);

}  // namespace oneknock
