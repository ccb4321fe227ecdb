#include "keys/shared_keys.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include <sodium.h>

#include "common/bytes.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

// BLAKE2b, so that nothing leads back to the key.
Fingerprint fingerprint_of(const Secret32& key) {
    std::array<std::uint8_t, crypto_generichash_BYTES_MIN> hash{};
    crypto_generichash(hash.data(), hash.size(), key.data(), Secret32::size, nullptr, 0);
    return load_u64be(hash.data());
}

struct Place {
    Fingerprint fingerprint;
    const Client* client;
    const Secret32* key;
};

std::vector<Place> places_of(const std::vector<Client>& clients) {
    std::vector<Place> places;
    places.reserve(clients.size());
    for (const Client& client : clients)
        for (const Generation& one : client.generations)
            places.push_back({fingerprint_of(one.secret), &client, &one.secret});
    wipe_traces();
    std::ranges::sort(places, {}, &Place::fingerprint);
    return places;
}

}  // namespace

Sharing shared_keys(const std::vector<Client>& clients) {
    Sharing sharing;
    const auto places = places_of(clients);
    for (auto first = places.begin(); first != places.end(); ++first)
        for (auto other = first + 1; other != places.end() && other->fingerprint == first->fingerprint; ++other) {
            if (other->client == first->client || !other->key->equals(*first->key)) continue;
            sharing[first->client->name].insert(other->client->name);
            sharing[other->client->name].insert(first->client->name);
        }
    return sharing;
}

std::string sharing_text(const std::string& client, const std::set<std::string>& others) {
    return "holds a key that is in " + join(others, [](const std::string& other) { return other + ".json"; }) +
           " as well; if it is a copy, remove the one that is not needed, else give it a key of its own: " +
           "oneknock-keygen rotate " + client;
}

Result<void> check_shares_no_key(const std::vector<Client>& clients, const std::string& folder) {
    const Sharing sharing = shared_keys(clients);
    if (sharing.empty()) return {};
    const auto& [client, others] = *sharing.begin();
    return fail(ExitCode::data, folder + "/" + client + ".json: " + sharing_text(client, others));
}

std::vector<Fingerprint> fingerprints_of(const Client& client) {
    std::vector<Fingerprint> fingerprints;
    for (const Generation& one : client.generations) fingerprints.push_back(fingerprint_of(one.secret));
    wipe_traces();
    return fingerprints;
}

bool KeyCensus::has_doubles() {
    std::ranges::sort(gone_);
    std::ranges::sort(come_);
    std::vector<Fingerprint> left, all;
    left.reserve(keys_.size());
    std::ranges::set_difference(keys_, gone_, std::back_inserter(left));
    all.reserve(left.size() + come_.size());
    std::ranges::merge(left, come_, std::back_inserter(all));
    keys_ = std::move(all);
    gone_.clear();
    come_.clear();
    return std::ranges::adjacent_find(keys_) != keys_.end();
}

}  // namespace oneknock
