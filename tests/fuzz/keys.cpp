// The files of keys: a door's, a client's, a key file with and without a passphrase, a sealed key in few bytes, and
// what goes between client and server when one is enrolled.
#include <sodium.h>

#include "keys/compact_key.hpp"
#include "keys/enrolment.hpp"
#include "keys/key_file.hpp"
#include "keys/keyring.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/messages.hpp"
#include "tests/unit/keys_texts.hpp"

namespace oneknock::fuzz {
namespace {

const std::string name = "file.json";

// What is accepted is the same when written and read again; and once a secret in it is damaged, no part of it is shown.
template <class Parse, class Write>
void check(std::string_view text, Parse parse, Write write) {
    const auto parsed = parse(text, name);
    if (!parsed) return check_complaint(parsed.error(), name);
    const SecretBytes written = write(*parsed);
    const auto again = parse(written.text(), name);
    HOLDS(again.has_value());
    HOLDS(write(*again).text() == written.text());

    std::string damaged(written.text());
    const std::string_view field = "\"secret\": \"";
    const auto at = damaged.find(field);
    if (at == std::string::npos) return;
    const std::string shown = "q7Xk2vN9";
    damaged.replace(at + field.size(), base64_secret_length, shown + "!");
    const auto refused = parse(damaged, name);
    HOLDS(!refused);
    check_complaint(refused.error(), name);
    HOLDS(refused.error().message.find(shown) == std::string::npos);
}

void check_generations(const std::vector<Generation>& generations) {
    HOLDS(!generations.empty());
    for (std::size_t i = 1; i < generations.size(); ++i) HOLDS(generations[i - 1].number < generations[i].number);
}

Result<Door> door(std::string_view text, const std::string& file) {
    auto parsed = parse_door(text, file);
    if (parsed) {
        check_generations(parsed->generations);
        HOLDS(!parsed->services.empty() && parsed->services.size() <= most_services);
        HOLDS(parsed->span.ports().size() >= smallest_span);
    }
    return parsed;
}

Result<Client> client(std::string_view text, const std::string& file) {
    auto parsed = parse_client(text, file);
    if (parsed) {
        check_generations(parsed->generations);
        HOLDS(!parsed->allow.empty());
        HOLDS(parsed->max_duration >= Seconds{1} && parsed->max_duration <= Seconds{65535});
        HOLDS(is_equal(*parsed, *parsed));
    }
    return parsed;
}

// Apart from the others' numbers.
constexpr std::uint8_t compact_kind = 'c';

std::string compact_text(ByteSpan bytes) {
    constexpr int base64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    std::string text(sodium_base64_encoded_len(bytes.size(), base64), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), base64);
    text.pop_back();  // the zero at its end
    return std::string(compact_key_mark) + text;
}

std::string compact_bytes(const CompactKey& key) {
    const std::string text = compact_key_text(key).value();
    std::string bytes(longest_compact_key, '\0');
    std::size_t length = 0;
    sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(), text.size(), nullptr,
                      &length, nullptr, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    bytes.resize(length);
    return bytes;
}

// What is accepted comes back when it is written and read again. A network written out may make it too long for that.
void check_compact(ByteSpan bytes) {
    const std::string text = compact_text(bytes);
    HOLDS(is_compact_key(text));
    auto parsed = parse_compact_key(text, name);
    if (!parsed) return check_complaint(parsed.error(), name);
    HOLDS(bytes.size() <= longest_compact_key);
    const auto written = compact_key_text(*parsed);
    if (!written) return HOLDS(written.error().message.starts_with("the key has 3"));
    auto again = parse_compact_key(std::string(compact_key_mark) + *written, name);
    HOLDS(again.has_value());
    HOLDS(again->addresses == parsed->addresses);
    HOLDS(stored_key_text(StoredKey(std::move(again->key))).text() ==
          stored_key_text(StoredKey(std::move(parsed->key))).text());
}

// Likewise.
constexpr std::uint8_t string_kind = 'e';
constexpr std::uint8_t sealed_kind = 's';
constexpr std::uint8_t half_kind = 'h';

void check_string(std::string_view text) {
    const auto parsed = parse_enrolment(text);
    if (!parsed) {
        HOLDS(parsed.error().code == ExitCode::usage);
        return HOLDS(printable(parsed.error().message) == parsed.error().message);
    }
    const auto again = parse_enrolment(enrolment_text(*parsed));
    HOLDS(again && again->id == parsed->id && again->expires == parsed->expires);
}

// Whatever is in a box: nobody made it for this half.
void check_box(std::string_view text) {
    static const EnrolmentKey half{Secret32::from(std::array<std::uint8_t, Secret32::size>{1, 2, 3}), UnixTime{}};
    const auto parsed = parse_sealed(text, name);
    if (parsed) HOLDS(!open_sealed(*parsed, half, name));
}

}  // namespace

void one_input(Input input) {
    const std::uint8_t kind = input.u8();
    if (kind == compact_kind) return check_compact(input.rest());
    const std::string_view text = input.text();
    if (kind == string_kind) return check_string(text);
    if (kind == half_kind) return check(text, parse_enrolment_key, enrolment_key_text);
    if (kind == sealed_kind) {
        check_box(text);
        return check(text, parse_sealed, sealed_text);
    }
    if (kind % 3 == 0) check(text, door, door_text);
    else if (kind % 3 == 1) check(text, client, client_text);
    else check(text, parse_stored_key, stored_key_text);
}

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    const auto add = [&](std::string_view kind, std::string_view text) {
        all.push_back(bytes_of(kind));
        append(all.back(), as_bytes(text));
    };
    add("0", test::valid_door);
    add("1", test::valid_client);
    add("2", test::valid_key_file);
    const EnrolmentKey half{Secret32::from(std::array<std::uint8_t, Secret32::size>{4, 5, 6}),
                            UnixTime{Seconds{1'800'000'000}}};
    add("e", enrolment_text(half.shown()));
    add("h", enrolment_key_text(half).text());
    add("s", sealed_text({half.shown().id, std::vector<std::uint8_t>(200, 7)}).text());
    EncryptedKey locked{*parse_key_file(test::valid_key_file, name), {3, 256U << 20, {1, 2, 3}, {4, 5, 6}}};
    locked.key.door.secret = Secret32();
    locked.key.client.secret = Secret32();
    CompactKey compact{std::move(locked), {Address::ipv4(0xcb007105), Address::parse("2001:db8::5").value()}};
    add("c", compact_bytes(compact));
    add("2", stored_key_text(StoredKey(std::move(compact.key))).text());
    return all;
}

}  // namespace oneknock::fuzz
