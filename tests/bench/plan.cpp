// plan: the knocks of many clients of oneknock for crowd.cpp, made now: plan ADDRESS KEYFILE...
//
// The first client has the address, each further one the next. One pass of 64 packets in UDP.
#include <cstdio>

#include "common/log.hpp"
#include "common/protocol/knock.hpp"
#include "common/secret.hpp"
#include "keys/key_file.hpp"

namespace {

using namespace oneknock;

constexpr unsigned source_port = 40000;

Request request_of(const KeyFile& key, const Address& address) {
    Request request;
    request.port = key.services.begin()->second.port;
    request.protocol = key.services.begin()->second.protocol;
    request.address = address;
    request.time = static_cast<std::uint32_t>(read_clocks().wall.time_since_epoch().count());
    fill_random(request.nonce);
    return request;
}

void print_knock(const KeyFile& key, const Address& address) {
    const Knock knock =
        make_knock(request_of(key, address), key.client.secret, key.door.secret, key.door.id, key.door.span);
    std::printf("%s", address.text().c_str());
    for (const std::uint16_t port : knock.ports) std::printf(" udp/%u/%u", source_port, port);
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    initialise_crypto();
    const auto first = argc > 2 ? Address::parse(argv[1]) : std::nullopt;
    if (!first || first->family != Family::ipv4) {
        log::error("plan ADDRESS KEYFILE...");
        return 64;
    }
    for (int i = 2; i < argc; ++i) {
        const auto key = read_key_file(argv[i]);
        if (!key) {
            log::error(key.error().message);
            return 65;
        }
        print_knock(*key, Address::ipv4(load_u32be(first->bytes.data()) + static_cast<std::uint32_t>(i - 2)));
    }
}
