#include "keys/enrolment.hpp"

#include <algorithm>

#include <sodium.h>

#include "common/json.hpp"
#include "keys/fields.hpp"
#include "keys/json_writer.hpp"
#include "keys/spelled_words.hpp"

namespace oneknock {
namespace {

static_assert(sizeof(EnrolmentId) == crypto_box_PUBLICKEYBYTES);
static_assert(Secret32::size == crypto_box_SECRETKEYBYTES);

constexpr std::string_view mark = "oneknock-enrol:";
constexpr std::uint8_t form_of_string = 1;
constexpr std::size_t length_of_end = 5;  // bytes: until the year 36812
constexpr std::size_t checksum_length = 4;
constexpr std::size_t content_length = 1 + sizeof(EnrolmentId) + length_of_end;
using EnrolmentBytes = Bytes<content_length + checksum_length>;

constexpr std::string_view sealed_kind = "sealed-client-key";
constexpr std::string_view key_kind = "enrolment";
constexpr int base64_of_box = sodium_base64_VARIANT_ORIGINAL;

// BLAKE2b of the parts, of which all but the last have a fixed length.
Bytes<32> digest_of(std::string_view purpose, ByteSpan first, ByteSpan second) {
    Bytes<32> digest{};
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, digest.size());
    for (const ByteSpan part : {as_bytes(purpose), first, second})
        crypto_generichash_update(&state, part.data(), part.size());
    crypto_generichash_final(&state, digest.data(), digest.size());
    return digest;
}

void write_checksum(EnrolmentBytes& bytes) {
    const auto digest = digest_of("oneknock/1 enrolment checksum", ByteSpan(bytes).first(content_length), {});
    std::copy_n(digest.begin(), checksum_length, bytes.begin() + content_length);
}

bool has_checksum(const EnrolmentBytes& bytes) {
    EnrolmentBytes right = bytes;
    write_checksum(right);
    return right == bytes;
}

std::string without_white_space(std::string_view text) {
    std::string rest(text);
    std::erase_if(rest, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
    return rest;
}

tl::unexpected<Error> damaged() {
    return fail(ExitCode::usage,
                "the string is damaged or cut off; copy the whole line again that `oneknock enrol` printed");
}

EnrolmentId public_half(const Secret32& secret) {
    EnrolmentId id{};
    crypto_scalarmult_base(id.data(), secret.data());
    wipe_traces();
    return id;
}

std::string base64_text(ByteSpan bytes) {
    std::string text(sodium_base64_encoded_len(bytes.size(), base64_of_box), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), base64_of_box);
    text.pop_back();  // the zero at its end
    return text;
}

std::vector<std::uint8_t> read_box(json::Object& object) {
    const std::string text = object.string("sealed");
    std::vector<std::uint8_t> box(text.size() + 1);  // never null
    std::size_t length = 0;
    const bool valid = sodium_base642bin(box.data(), box.size(), text.data(), text.size(), nullptr, &length, nullptr,
                                         base64_of_box) == 0;
    if (!valid || length <= crypto_box_SEALBYTES) object.complain("sealed", "is damaged or cut off");
    box.resize(valid ? length : 0);
    return box;
}

}  // namespace

std::string enrolment_text(const Enrolment& enrolment) {
    EnrolmentBytes bytes{form_of_string};
    const auto behind_id = std::ranges::copy(enrolment.id, bytes.begin() + 1).out;
    Bytes<8> time{};
    store_u64be(time.data(), static_cast<std::uint64_t>(enrolment.expires.time_since_epoch().count()));
    std::copy(time.end() - length_of_end, time.end(), behind_id);
    write_checksum(bytes);
    return std::string(mark) + to_hex(bytes);
}

Result<Enrolment> parse_enrolment(std::string_view text) {
    const std::string rest = without_white_space(text);
    if (!rest.starts_with(mark))
        return fail(ExitCode::usage, "this is not what `oneknock enrol` printed, which begins with " +
                                         std::string(mark) + " and goes on without a space");
    EnrolmentBytes bytes{};
    if (!from_hex(std::string_view(rest).substr(mark.size()), bytes) || !has_checksum(bytes)) return damaged();
    if (bytes.front() != form_of_string)
        return fail(ExitCode::usage, "the string is of form " + std::to_string(bytes.front()) +
                                         ", which this program does not know; update oneknock");
    Enrolment enrolment;
    std::copy_n(bytes.begin() + 1, enrolment.id.size(), enrolment.id.begin());
    Bytes<8> time{};
    std::copy_n(bytes.begin() + 1 + sizeof(EnrolmentId), length_of_end, time.end() - length_of_end);
    enrolment.expires = UnixTime{Seconds{static_cast<std::int64_t>(load_u64be(time.data()))}};
    return enrolment;
}

EnrolmentKey EnrolmentKey::generate(UnixTime expires) { return {Secret32::random(), expires}; }

Enrolment EnrolmentKey::shown() const { return {public_half(secret), expires}; }

SecretBytes enrolment_key_text(const EnrolmentKey& key) {
    JsonWriter writer;
    writer.string("oneknock", key_kind);
    writer.integer("version", 1);
    writer.secret("secret", key.secret);
    writer.time("expires", key.expires);
    return std::move(writer).finish();
}

Result<EnrolmentKey> parse_enrolment_key(std::string_view text, const std::string& name) {
    const auto root = json::parse(text, name);
    if (!root) return tl::unexpected(root.error());
    json::Context context(name);
    json::Object object(context, *root);
    object.header(key_kind);
    EnrolmentKey key{object.secret("secret"), fields::time(object, "expires")};
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    return key;
}

SecretBytes sealed_text(const SealedForOne& sealed) {
    JsonWriter writer;
    writer.string("oneknock", sealed_kind);
    writer.integer("version", 1);
    writer.string("for", to_hex(sealed.recipient));
    writer.string("sealed", base64_text(sealed.box));
    return std::move(writer).finish();
}

bool is_sealed_for_one(std::string_view text) {
    const auto root = json::parse(text, "");
    if (!root) return text.find(sealed_kind) != std::string_view::npos;  // cut off, perhaps
    return std::ranges::any_of(root->members, [](const json::Member& member) {
        return member.name == "oneknock" && member.value.text == sealed_kind;
    });
}

Result<SealedForOne> parse_sealed(std::string_view text, const std::string& name) {
    const auto root = json::parse(text, name);
    if (!root) return tl::unexpected(root.error());
    json::Context context(name);
    json::Object object(context, *root);
    object.header(sealed_kind);
    SealedForOne sealed;
    if (!from_hex(object.string("for"), sealed.recipient))
        object.complain("for", "must be " + std::to_string(2 * sealed.recipient.size()) + " hexadecimal digits");
    sealed.box = read_box(object);
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    return sealed;
}

Result<SealedForOne> seal_for_one(const KeyFile& key, const Enrolment& enrolment) {
    const SecretBytes text = key_file_text(key);
    SealedForOne sealed{enrolment.id, std::vector<std::uint8_t>(text.bytes().size() + crypto_box_SEALBYTES)};
    const int done =
        crypto_box_seal(sealed.box.data(), text.bytes().data(), text.bytes().size(), sealed.recipient.data());
    wipe_traces();
    if (done != 0)
        return fail(ExitCode::usage,
                    "--for: the string is not one that `oneknock enrol` makes: anybody could open "
                    "what is sealed for it");
    return sealed;
}

Result<KeyFile> open_sealed(const SealedForOne& sealed, const EnrolmentKey& key, const std::string& name) {
    SecretBytes text(sealed.box.size() - crypto_box_SEALBYTES);
    const int opened = crypto_box_seal_open(text.bytes().data(), sealed.box.data(), sealed.box.size(),
                                            key.shown().id.data(), key.secret.data());
    wipe_traces();
    if (opened != 0)
        return fail(ExitCode::data, name + ": does not open: it was damaged or altered on its way; have it sent again");
    return parse_key_file(text.text(), name + " (opened)");
}

std::string enrolment_words(const SealedForOne& sealed) {
    return digest_words(digest_of("oneknock/1 enrolment words", sealed.recipient, sealed.box));
}

}  // namespace oneknock
