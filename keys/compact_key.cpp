#include "keys/compact_key.hpp"

#include <algorithm>

#include <sodium.h>

#include "keys/json_writer.hpp"

namespace oneknock {
namespace {

constexpr std::uint8_t form = 1;
constexpr std::string_view link_scheme = "https://";
constexpr int base64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
constexpr std::size_t length_of_time = 5;  // bytes: until the year 36812

// A span of this text is left out.
const std::string usual_span = PortSpan().text();

class Writer {
public:
    void number(std::uint64_t value, std::size_t length) {
        for (std::size_t left = length; left > 0; --left)
            bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * (left - 1))));
    }
    void bytes(ByteSpan bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    // One of more than 255 characters makes the whole too long as well.
    void text(std::string_view text) {
        number(text.size(), 1);
        bytes(as_bytes(text));
    }
    [[nodiscard]] const std::vector<std::uint8_t>& written() const { return bytes_; }

private:
    std::vector<std::uint8_t> bytes_;
};

// Once more is asked for than there is, everything is zero or empty.
class Reader {
public:
    explicit Reader(ByteSpan bytes) : rest_(bytes) {}

    ByteSpan bytes(std::size_t length) {
        failed_ = failed_ || length > rest_.size();
        if (failed_) return {};
        const ByteSpan taken = rest_.first(length);
        rest_ = rest_.subspan(length);
        return taken;
    }
    std::uint64_t number(std::size_t length) {
        std::uint64_t value = 0;
        for (const std::uint8_t byte : bytes(length)) value = value << 8 | byte;
        return value;
    }
    std::string text() {
        const ByteSpan taken = bytes(number(1));
        return {taken.begin(), taken.end()};
    }
    [[nodiscard]] bool all_was_read() const { return !failed_ && rest_.empty(); }

private:
    ByteSpan rest_;
    bool failed_ = false;
};

void write_services(Writer& writer, const std::map<std::string, Service>& services) {
    writer.number(services.size(), 1);
    for (const auto& [name, service] : services) {
        writer.text(name);
        writer.number(service.protocol, 1);
        writer.number(service.port, 2);
    }
}

void write_addresses(Writer& writer, const std::vector<Address>& addresses) {
    writer.number(addresses.size(), 1);
    for (const Address& address : addresses) {
        writer.number(address.length(), 1);
        writer.bytes(address.span());
    }
}

std::vector<std::uint8_t> bytes_of(const CompactKey& compact) {
    const KeyFile& key = compact.key.key;
    const KeyEncryption& lock = compact.key.lock;
    Writer writer;
    writer.number(form, 1);
    writer.text(key.door.name);
    writer.text(key.door.address);
    writer.bytes(key.door.id.bytes);
    writer.text(key.door.span.text() == usual_span ? "" : key.door.span.text());
    writer.number(key.door.generation, 4);
    writer.text(key.client.name);
    writer.number(key.client.generation, 4);
    writer.text(key.client.source.text());
    writer.number(static_cast<std::uint64_t>(key.client.max_duration.count()), 2);
    write_services(writer, key.services);
    for (const UnixTime time : {key.created, key.expires.value_or(UnixTime{})})
        writer.number(static_cast<std::uint64_t>(time.time_since_epoch().count()), length_of_time);
    writer.number(lock.operations, 1);
    writer.number(lock.memory / 1024, 4);
    writer.bytes(lock.salt);
    writer.bytes(lock.sealed);
    write_addresses(writer, compact.addresses);
    return writer.written();
}

void unpack_door(Reader& reader, JsonWriter& json) {
    json.begin_object("door");
    json.string("name", reader.text());
    json.string("address", reader.text());
    json.string("id", to_hex(reader.bytes(sizeof(DoorId::bytes))));
    const std::string span = reader.text();
    json.string("span", span.empty() ? usual_span : span);
    json.integer("generation", static_cast<std::int64_t>(reader.number(4)));
    json.end();
}

void unpack_client(Reader& reader, JsonWriter& json) {
    json.begin_object("client");
    json.string("name", reader.text());
    json.integer("generation", static_cast<std::int64_t>(reader.number(4)));
    json.string("source", reader.text());
    json.duration("max_duration", Seconds{reader.number(2)});
    json.end();
}

void unpack_services(Reader& reader, JsonWriter& json) {
    json.begin_object("services");
    for (auto left = reader.number(1); left > 0; --left) {
        const std::string name = reader.text();
        const auto protocol = static_cast<std::uint8_t>(reader.number(1));
        json.string(name, Service{protocol, static_cast<std::uint16_t>(reader.number(2))}.text());
    }
    json.end();
}

UnixTime read_time(Reader& reader) {
    return UnixTime{Seconds{static_cast<std::int64_t>(reader.number(length_of_time))}};
}

void unpack_lock(Reader& reader, JsonWriter& json) {
    json.begin_object("lock");
    json.string("algorithm", lock_algorithm);
    json.integer("operations", static_cast<std::int64_t>(reader.number(1)));
    json.integer("memory_kib", static_cast<std::int64_t>(reader.number(4)));
    json.string("salt", to_hex(reader.bytes(KeyEncryption::salt_length)));
    json.string("sealed", to_hex(reader.bytes(KeyEncryption::sealed_length)));
    json.end();
}

// The text of the key file that it stands for, whose reader judges it.
SecretBytes unpack_key(Reader& reader) {
    JsonWriter json;
    json.string("oneknock", locked_kind);
    json.integer("version", 1);
    unpack_door(reader, json);
    unpack_client(reader, json);
    unpack_services(reader, json);
    json.time("created", read_time(reader));
    const UnixTime end = read_time(reader);
    json.time_or_null("expires", end == UnixTime{} ? std::nullopt : std::optional(end));
    unpack_lock(reader, json);
    return std::move(json).finish();
}

std::optional<std::vector<Address>> unpack_addresses(Reader& reader) {
    std::vector<Address> addresses;
    for (auto left = reader.number(1); left > 0; --left) {
        const auto length = reader.number(1);
        const Family family = length == 4 ? Family::ipv4 : Family::ipv6;
        const auto address = Address::from_bytes(family, reader.bytes(length));
        if (!address) return std::nullopt;
        addresses.push_back(*address);
    }
    return addresses;
}

tl::unexpected<Error> damaged(const std::string& name) {
    return fail(ExitCode::data, name + ": the key in it is damaged or cut off; scan the code again");
}

// Nothing where it is not base64url, or too long.
std::optional<std::vector<std::uint8_t>> decoded(std::string_view text) {
    std::vector<std::uint8_t> bytes(longest_compact_key);
    std::size_t length = 0;
    if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &length, nullptr, base64) != 0)
        return std::nullopt;
    bytes.resize(length);
    return bytes;
}

std::string_view behind_the_mark(std::string_view text) {
    const std::string_view mark = text.starts_with(compact_key_mark) ? compact_key_mark : compact_key_fragment;
    const auto at = text.find(mark);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + mark.size());
    const auto last = text.find_last_not_of(" \t\r\n");
    return last == std::string_view::npos ? std::string_view{} : text.substr(0, last + 1);
}

Result<CompactKey> unpack(ByteSpan bytes, const std::string& name) {
    Reader reader(bytes);
    const auto found = reader.number(1);
    if (found > form)
        return fail(ExitCode::data, name + ": the key is of form " + std::to_string(found) +
                                        ", which is newer than this program; update oneknock");
    const SecretBytes text = unpack_key(reader);
    const auto addresses = unpack_addresses(reader);
    if (found != form || !addresses || !reader.all_was_read()) return damaged(name);
    auto stored = parse_stored_key(text.text(), name + " (unpacked)");
    if (!stored) return tl::unexpected(stored.error());
    return CompactKey{std::get<EncryptedKey>(*std::move(stored)), *addresses};
}

// The times that its five bytes hold: an end in 1970 would be none.
bool has_usual_times(const KeyFile& key) {
    constexpr UnixTime last{Seconds{(std::int64_t{1} << (8 * length_of_time)) - 1}};
    const auto is_usual = [&](UnixTime time) { return UnixTime{} <= time && time <= last; };
    return is_usual(key.created) && is_usual(key.expires.value_or(last)) && key.expires != UnixTime{};
}

}  // namespace

Result<std::string> compact_key_text(const CompactKey& key) {
    const auto bytes = bytes_of(key);
    if (bytes.size() > longest_compact_key)
        return fail(ExitCode::data, "the key has " + std::to_string(bytes.size()) + " bytes, of which at most " +
                                        std::to_string(longest_compact_key) +
                                        " fit into a QR code; allow fewer services, use shorter names or a span of " +
                                        "fewer pieces, or hand out a file");
    if (!has_usual_times(key.key.key)) return fail(ExitCode::data, "the key's times are too far away for a QR code");
    std::string text(sodium_base64_encoded_len(bytes.size(), base64), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), base64);
    text.pop_back();  // the zero at its end
    return text;
}

bool is_compact_key(std::string_view text) {
    return text.starts_with(compact_key_mark) || text.starts_with(link_scheme);
}

Result<CompactKey> parse_compact_key(std::string_view text, const std::string& name) {
    const auto bytes = decoded(behind_the_mark(text));
    return bytes ? unpack(*bytes, name) : damaged(name);
}

}  // namespace oneknock
