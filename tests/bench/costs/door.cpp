#include "tests/bench/costs/door.hpp"

#include <cstdio>

namespace oneknock {

std::vector<Secret32> BenchDoor::draw(std::size_t count) {
    std::vector<Secret32> keys;
    keys.reserve(count);
    for (std::size_t i = 0; i < count; ++i) keys.push_back(Secret32::random());
    return keys;
}

Keyring BenchDoor::keyring() const {
    Keyring keyring;
    keyring.door.name = "bench";
    keyring.door.id = id_;
    keyring.door.span = span_;
    keyring.door.services = {{"ssh", ssh}};
    keyring.door.generations.push_back({1, door_secret_.copy(), noon - Seconds{1'000'000}, std::nullopt});
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        Client client;
        char name[32];
        std::snprintf(name, sizeof name, "client-%06zu", i);
        client.name = name;
        client.allow = {"ssh"};
        client.generations.push_back({1, keys_[i].copy(), noon - Seconds{1'000'000}, std::nullopt});
        keyring.clients.push_back(std::move(client));
    }
    return keyring;
}

BenchDoor::BenchDoor(std::size_t clients) : keys_(draw(clients)), verifier_(keyring()) {
    verifier_.set_epochs({epoch_of(noon)});
    while (verifier_.build_hints(clients)) {}
}

Book BenchDoor::book() const {
    const Epoch epoch = epoch_of(noon);
    return {epoch, 1, noon - Seconds{3600}, noon + Seconds{3600},
            Codebook::build(codebook_seed(door_secret_, id_, epoch), span_)};
}

Request BenchDoor::request(const Address& address, UnixTime time) const {
    Request request;
    request.port = ssh.port;
    request.address = address;
    request.time = static_cast<std::uint32_t>(time.time_since_epoch().count());
    fill_random(request.nonce);
    return request;
}

Knock BenchDoor::knock(std::size_t client, const Address& address, UnixTime time) const {
    return make_knock(request(address, time), keys_[client], door_secret_, id_, span_);
}

Candidate BenchDoor::candidate(std::size_t client, const Address& address, UnixTime time) const {
    Candidate candidate;
    const Epoch epoch = epoch_of(time);
    candidate.epoch = epoch.value;
    candidate.door_generation = 1;
    candidate.source = address;
    candidate.message = seal(request(address, time), derive_message_keys(keys_[client]), id_,
                             hint_for(derive_hint_key(keys_[client]), epoch));
    return candidate;
}

}  // namespace oneknock
