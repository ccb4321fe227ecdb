// A door and its clients, always the same, for the targets that need keys.
#pragma once

#include <array>

#include "common/protocol/key_schedule.hpp"
#include "common/protocol/knock.hpp"
#include "keys/keyring.hpp"

namespace oneknock::fuzz {

inline constexpr UnixTime noon{Seconds{1'800'001'800}};  // the middle of an hour
inline constexpr Service ssh{protocol_tcp, 22}, vpn{protocol_udp, 51820}, web{protocol_tcp, 443};

// All of its bytes are the same.
[[nodiscard]] inline Secret32 secret_of(std::uint8_t fill) {
    Secret32 secret;
    std::ranges::fill(secret.bytes(), fill);
    return secret;
}

[[nodiscard]] inline Generation generation_of(std::uint32_t number, std::uint8_t fill,
                                              std::optional<UnixTime> end = std::nullopt) {
    return {number, secret_of(fill), noon - Seconds{86400}, end};
}

[[nodiscard]] inline Door home() {
    Door door;
    door.name = "home";
    door.address = "192.0.2.1";
    door.id = DoorId{{7}};
    door.services = {{"ssh", ssh}, {"vpn", vpn}, {"web", web}};
    door.generations.push_back(generation_of(1, 1));
    return door;
}

struct Member {
    const char* name;
    std::vector<std::string> allow;
    const char* source;
    std::uint8_t fill;  // of the secret
};
inline const std::array members{Member{"alice", {"ssh", "vpn"}, "same", 11}, Member{"bob", {"web"}, "observed", 12},
                                Member{"carol", {"ssh"}, "any", 13}, Member{"dave", {"ssh"}, "192.0.2.0/24", 14}};

[[nodiscard]] inline Client client_of(const Member& member) {
    Client client;
    client.name = member.name;
    client.allow = member.allow;
    client.source = *SourcePolicy::parse(member.source);
    client.generations.push_back(generation_of(1, member.fill));
    return client;
}

[[nodiscard]] inline Keyring keyring() {
    Keyring keyring;
    keyring.door = home();
    for (const Member& member : members) keyring.clients.push_back(client_of(member));
    return keyring;
}

}  // namespace oneknock::fuzz
