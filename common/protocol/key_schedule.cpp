#include "common/protocol/key_schedule.hpp"

#include <algorithm>
#include <string_view>

#include <sodium.h>

namespace oneknock {
namespace {

constexpr char kdf_context[crypto_kdf_CONTEXTBYTES + 1] = "oneknock";
constexpr std::string_view codebook_label = "oneknock/1 codebook";

enum class Subkey : std::uint64_t { mac = 1, cipher = 2, hint = 3 };

Secret32 derive(const Secret32& client_secret, Subkey subkey) {
    static_assert(crypto_kdf_KEYBYTES == Secret32::size);
    Secret32 key;
    crypto_kdf_derive_from_key(key.bytes().data(), Secret32::size, static_cast<std::uint64_t>(subkey), kdf_context,
                               client_secret.data());
    wipe_traces();
    return key;
}

}  // namespace

MessageKeys derive_message_keys(const Secret32& client_secret) {
    return {derive(client_secret, Subkey::mac), derive(client_secret, Subkey::cipher)};
}

Secret32 derive_hint_key(const Secret32& client_secret) { return derive(client_secret, Subkey::hint); }

Hint hint_for(const Secret32& hint_key, Epoch epoch) {
    Bytes<8> number;
    store_u64be(number.data(), epoch.value);
    Bytes<16> hash;
    crypto_generichash(hash.data(), hash.size(), number.data(), number.size(), hint_key.data(), Secret32::size);
    wipe_traces();
    return Hint{{hash[0], hash[1]}};
}

Secret32 codebook_seed(const Secret32& door_secret, const DoorId& door, Epoch epoch) {
    Bytes<codebook_label.size() + door_id_length + 8> input;
    auto at = std::ranges::copy(codebook_label, input.begin()).out;
    at = std::ranges::copy(door.bytes, at).out;
    store_u64be(&*at, epoch.value);
    Secret32 seed;
    crypto_generichash(seed.bytes().data(), Secret32::size, input.data(), input.size(), door_secret.data(),
                       Secret32::size);
    wipe_traces();
    return seed;
}

}  // namespace oneknock
