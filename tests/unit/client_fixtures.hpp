// A client's key and what is asked with it, for the tests of the client.
#pragma once

#include "client/options/options.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

inline KeyFile sample_key(const char* policy = "same") {
    KeyFile key;
    key.door.name = "home";
    key.door.address = "203.0.113.5";
    key.door.id = DoorId{{1, 2, 3}};
    key.door.secret = Secret32::random();
    key.client.name = "alice";
    key.client.secret = Secret32::random();
    key.client.source = *SourcePolicy::parse(policy);
    key.services = {{"ssh", {protocol_tcp, 22}}, {"wg", {protocol_udp, 51820}}};
    return key;
}

inline KnockOptions sample_options() {
    KnockOptions options;
    options.door = "home";
    options.service = "ssh";
    return options;
}

inline const UnixTime sample_time{Seconds{1'800'000'000}};

}  // namespace oneknock
