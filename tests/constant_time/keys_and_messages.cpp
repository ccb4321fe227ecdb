#include <algorithm>
#include <cstdio>
#include <string>

#include "common/protocol/key_schedule.hpp"
#include "common/protocol/message.hpp"
#include "server/gatekeeper/verify/verifier.hpp"
#include "tests/constant_time/hidden.hpp"
#include "tests/constant_time/subjects.hpp"

namespace oneknock {
namespace {

constexpr Epoch epoch{500'000};
constexpr DoorId door{{1, 2, 3}};

Request request_for(const char* address) {
    Request request;
    request.port = 22;
    request.time = static_cast<std::uint32_t>(epoch.value * 3600 + 1800);
    fill_random(request.nonce);
    request.address = *Address::parse(address);
    return request;
}

// A request of which nothing is known but its family, which the length of a knock tells.
Request hidden_request(const Request& request) {
    Request copy = request;
    hide(copy);
    declassify(copy.address.family);
    return copy;
}

constexpr const char* addresses[] = {"192.0.2.1", "2001:db8::1"};

bool derives_keys() {
    const Secret32 secret = hidden_secret();
    MessageKeys keys = derive_message_keys(secret);
    Secret32 hint_key = derive_hint_key(secret);
    Hint hint = hint_for(hint_key, epoch);
    for (Secret32* key : {&keys.mac, &keys.cipher, &hint_key}) declassify(*key);  // for the comparison alone
    declassify(hint);
    return !keys.mac.equals(keys.cipher) && !keys.mac.equals(hint_key) && hint == hint_for(hint_key, epoch);
}

bool derives_seed() {
    const Secret32 secret = hidden_secret();
    Secret32 one = codebook_seed(secret, door, epoch), next = codebook_seed(secret, door, Epoch{epoch.value + 1});
    declassify(one), declassify(next);  // for the comparison alone
    return !one.equals(next);
}

Message sealed(const Request& request, const Secret32& secret) {
    const Hint hint = hint_for(derive_hint_key(secret), epoch);
    Message message = seal(hidden_request(request), derive_message_keys(secret), door, hint);
    declassify(message);  // it goes over the network
    return message;
}

bool seals_and_unseals() {
    for (const char* address : addresses) {
        const Request request = request_for(address);
        const Secret32 secret = hidden_secret();
        auto found = unseal(sealed(request, secret), derive_message_keys(secret), door);
        if (!found) return false;
        declassify(*found);  // it verified: from here on it is acted upon
        if (*found != request) return false;
    }
    return true;
}

bool refuses_changed_messages() {
    for (const char* address : addresses) {
        const Secret32 secret = hidden_secret();
        const Message message = sealed(request_for(address), secret);
        for (std::size_t at = 0; at < message.length(); ++at) {
            Message changed = message;
            changed.bytes[at] ^= 1;
            if (unseal(changed, derive_message_keys(secret), door)) return false;
        }
    }
    return true;
}

// Made as a reload makes it: the hints beside each client, worked out before the verifier takes it in.
class Clients {
public:
    static constexpr std::size_t count = 100;

    Clients() {
        verifier_.set_epochs({epoch});
        KeyChange change;
        for (std::size_t i = 0; i < count; ++i) {
            secrets_.push_back(hidden_secret());
            PreparedClient prepared = prepare_client(client(i), {epoch});
            // Who knows the codebook reads it off each knock; see threat-model.md, "Timing".
            for (auto& [hour, hint] : prepared.hints) declassify(hint);
            for (auto& fingerprint : prepared.fingerprints) declassify(fingerprint);  // a hash, to find equal keys
            change.clients.emplace(prepared.client.name, std::move(prepared));
        }
        verifier_.change(change);
    }

    [[nodiscard]] Message message(std::size_t of, const Request& request) const {
        return sealed(request, secrets_[of]);
    }
    [[nodiscard]] auto verify(const Message& message) { return verifier_.verify(message, epoch); }
    [[nodiscard]] static std::string name(std::size_t number) { return "client-" + std::to_string(number); }

private:
    static Keyring door_alone() {
        Keyring keyring;
        keyring.door.id = door;
        return keyring;
    }
    [[nodiscard]] Client client(std::size_t number) const {
        Client client;
        client.name = name(number);
        client.generations.push_back({1, secrets_[number].copy(), UnixTime{}, std::nullopt});
        return client;
    }

    std::vector<Secret32> secrets_;
    Verifier verifier_{door_alone()};
};

bool finds_the_client() {
    Clients clients;
    for (std::size_t number = 0; number < Clients::count; number += 9) {
        const Request request = request_for(addresses[number % 2]);
        auto matches = clients.verify(clients.message(number, request));
        if (matches.size() != 1 || matches[0].client->name != Clients::name(number)) return false;
        declassify(matches[0].request);  // it verified: from here on it is acted upon
        if (matches[0].request != request) return false;
    }
    return true;
}

bool finds_nobody() {
    Clients clients;
    for (std::size_t number = 0; number < Clients::count; number += 9) {
        Message wrong_tag = clients.message(number, request_for(addresses[number % 2]));
        wrong_tag.bytes[hint_length + tag_length - 1] ^= 1;
        Message wrong_hint = clients.message(number, request_for(addresses[number % 2]));
        wrong_hint.bytes[0] ^= 1;
        if (!clients.verify(wrong_tag).empty() || !clients.verify(wrong_hint).empty()) return false;
    }
    return true;
}

bool handles_secrets() {
    Secret32 one = hidden_secret(), copy = one.copy(), other = hidden_secret();
    Secret32 moved = std::move(copy);
    const bool right = one.equals(moved) && !one.equals(other);
    other = std::move(one);
    return right && other.equals(moved);
}

bool writes_base64() {
    Secret32 secret = hidden_secret(), read;
    char text[base64_secret_length];
    secret_to_base64(secret, text);
    declassify(text);  // to read it again; what reads it is among those that depend on secrets
    return secret_from_base64({text, sizeof text}, read) && read.equals(secret);
}

}  // namespace

std::span<const Subject> constant_time_subjects() {
    static constexpr Subject subjects[] = {
        {"keys derived from a client's secret", derives_keys},
        {"a codebook's seed derived from the door's secret", derives_seed},
        {"messages sealed and unsealed", seals_and_unseals},
        {"changed messages refused", refuses_changed_messages},
        {"a message's client found among a hundred", finds_the_client},
        {"no client found for a message with another tag or hint", finds_nobody},
        {"secrets copied, moved, compared, wiped", handles_secrets},
        {"a secret written as base64", writes_base64},
    };
    return subjects;
}

}  // namespace oneknock
