#include "keys/page.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <memory>

#include <arpa/inet.h>
#include <netdb.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "common/files.hpp"
#include "common/json.hpp"
#include "common/text.hpp"
#include "keys/key_encryption.hpp"
#include "keys/spelled_words.hpp"

namespace oneknock {
namespace {

// A second for a desktop's JavaScript, where libsodium's "moderate" would take seven; with a passphrase of 76 bits it
// need not be more.
constexpr PassphraseCost page_cost{3, 32ULL << 20};

constexpr std::size_t passphrase_words = 6;

constexpr std::string_view key_element = "<script type=\"application/json\" id=\"key\">";
constexpr std::string_view no_key = "null";
constexpr std::string_view end_of_element = "</script>";
constexpr std::string_view end_of_file = "\n}\n";

std::optional<Address> address_of(const sockaddr* address) {
    if (address->sa_family == AF_INET) {
        const auto& in = *reinterpret_cast<const sockaddr_in*>(address);
        return Address::ipv4(ntohl(in.sin_addr.s_addr));
    }
    const auto& in6 = *reinterpret_cast<const sockaddr_in6*>(address);
    return Address::from_bytes(Family::ipv6, in6.sin6_addr.s6_addr);
}

// The sealed key as in its file, with the addresses; `oneknock import` takes it as well.
std::string data_block(EncryptedKey key, const std::vector<Address>& addresses) {
    const SecretBytes file = stored_key_text(StoredKey{std::move(key)});
    std::string text(file.text().substr(0, file.text().size() - end_of_file.size()));
    const auto quoted = [](const Address& address) { return json::quote(address.text()); };
    return text + ",\n  \"x-addresses\": [" + join(addresses, quoted) + "]" + std::string(end_of_file);
}

}  // namespace

std::string installed_page() {
    constexpr std::string_view below_prefix = "/" ONEKNOCK_DATADIR "/oneknock/page.html";
    std::array<char, PATH_MAX> program{};
    const ssize_t length = readlink("/proc/self/exe", program.data(), program.size());
    if (length <= 0) return ONEKNOCK_PREFIX + std::string(below_prefix);
    std::string_view folder(program.data(), static_cast<std::size_t>(length));
    for (int level = 0; level < 2; ++level) folder = folder.substr(0, folder.rfind('/'));
    return std::string(folder).append(below_prefix);
}

SecretBytes generate_passphrase() {
    SecretBytes text(passphrase_words * (spelled_length + 1) - 1);
    std::ranges::fill(text.bytes(), ' ');
    for (std::size_t i = 0; i < passphrase_words; ++i)
        spell(random_below(spelled_words), text.bytes().subspan(i * (spelled_length + 1)).first<spelled_length>());
    return text;
}

Result<std::vector<Address>> numeric_addresses(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
        return fail(ExitCode::unavailable, "cannot resolve the door's address " + host + ": " + gai_strerror(error) +
                                               "; a page needs numeric addresses, which it keeps");
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
    std::vector<Address> addresses;
    for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
        if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
        const Address address = *address_of(entry->ai_addr);
        if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
    }
    return addresses;
}

Result<void> print_passphrase(const SecretBytes& passphrase) {
    return write_standard_output(as_bytes("passphrase: "))
        .and_then([&] { return write_standard_output(passphrase.bytes()); })
        .and_then([] { return write_standard_output(as_bytes("\n")); });
}

Result<SealedKey> seal_for_anyone(const KeyFile& key) {
    SecretBytes passphrase = generate_passphrase();
    return encrypt_key(key, passphrase, page_cost).map([&](EncryptedKey&& sealed) {
        return SealedKey{std::move(sealed), std::move(passphrase)};
    });
}

Result<std::vector<Address>> addresses_for_page(const KeyFile& key) {
    if (key.client.source.mode() == SourcePolicy::Mode::same)
        return fail(ExitCode::usage, "a page opens for the address that the server sees, which " + key.client.name +
                                         " may not, as its source policy is `same`; allow it --source observed");
    return numeric_addresses(key.door.address);
}

Result<Page> make_page(const KeyFile& key, const std::string& template_path) {
    const auto addresses = addresses_for_page(key);
    if (!addresses) return tl::unexpected(addresses.error());
    const auto page = read_file(template_path);
    if (!page) return tl::unexpected(page.error());
    const auto at = page->text().find(std::string(key_element) + std::string(no_key) + std::string(end_of_element));
    if (at == std::string_view::npos)
        return fail(ExitCode::data, template_path + " is not the page that came with oneknock; install it again");
    auto sealed = seal_for_anyone(key);
    if (!sealed) return tl::unexpected(sealed.error());
    const auto before = page->text().substr(0, at + key_element.size());
    const auto after = page->text().substr(before.size() + no_key.size());
    const std::string whole =
        std::string(before) + "\n" + data_block(std::move(sealed->key), *addresses) + std::string(after);
    SecretBytes text(whole.size());
    std::ranges::copy(as_bytes(whole), text.bytes().begin());
    return Page{std::move(text), std::move(sealed->passphrase)};
}

}  // namespace oneknock
