// Enrolling: a key goes to its client sealed, so that on the way it is of no use to anybody else.
//
// The client makes a pair of keys (X25519), keeps one half and shows the other as a string. The server seals the key
// file for it: libsodium's sealed box, which makes a pair for this one message. Neither the string nor the sealed key
// is secret, and neither says whose it is. The words do, where two people compare them: they are a digest of the
// client's half and of the whole box, hence of the other pair's public half, the door, the client, its policy and its
// secrets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

using EnrolmentId = Bytes<32>;  // the public half of the client's pair

inline constexpr Seconds usual_enrolment{7 * 86400};
inline constexpr Seconds longest_enrolment{30 * 86400};

// What the client shows.
struct Enrolment {
    EnrolmentId id{};
    UnixTime expires{};  // from then on the client opens nothing for it
};

// "oneknock-enrol:" and hexadecimal digits, with a checksum: chat programs take other characters for markup.
[[nodiscard]] std::string enrolment_text(const Enrolment& enrolment);
// White space in it, such as of a mail's lines, is of no matter. Errors are ExitCode::usage.
[[nodiscard]] Result<Enrolment> parse_enrolment(std::string_view text);

// What the client keeps until then.
struct EnrolmentKey {
    Secret32 secret;
    UnixTime expires{};

    [[nodiscard]] static EnrolmentKey generate(UnixTime expires);
    [[nodiscard]] Enrolment shown() const;
};
[[nodiscard]] SecretBytes enrolment_key_text(const EnrolmentKey& key);
[[nodiscard]] Result<EnrolmentKey> parse_enrolment_key(std::string_view text, const std::string& name);

// The file of kind "sealed-client-key".
struct SealedForOne {
    EnrolmentId recipient{};
    std::vector<std::uint8_t> box;
};
[[nodiscard]] SecretBytes sealed_text(const SealedForOne& sealed);
// `name` is the file's, for messages.
[[nodiscard]] Result<SealedForOne> parse_sealed(std::string_view text, const std::string& name);
// Whether a file is of that kind, be it damaged otherwise.
[[nodiscard]] bool is_sealed_for_one(std::string_view text);

// Fails for a string that nobody can have the other half of.
[[nodiscard]] Result<SealedForOne> seal_for_one(const KeyFile& key, const Enrolment& enrolment);
// ExitCode::data where it was altered.
[[nodiscard]] Result<KeyFile> open_sealed(const SealedForOne& sealed, const EnrolmentKey& key, const std::string& name);

// Such as "bako lumi tesa fori gupo nane vizu": 88 bits, since whoever wants to pass for one side can try for as long
// as the other waits.
[[nodiscard]] std::string enrolment_words(const SealedForOne& sealed);

}  // namespace oneknock
