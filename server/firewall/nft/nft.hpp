// nf_tables over netlink, as far as this project needs it: atomic batches of changes, and reading a table back.
// No libnftnl or libmnl type shows here, and errors are errno values; sentences are made by the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "common/fd.hpp"
#include "server/firewall/table/compare.hpp"
#include "server/firewall/table/others.hpp"
#include "server/firewall/table/ruleset.hpp"

struct nlmsghdr;

namespace oneknock::nft {

template <class T>
using Result = tl::expected<T, int>;  // or an errno

// Changes to one table that the kernel makes all together or not at all.
class Batch {
public:
    explicit Batch(TableName table);

    void add_table();     // no error if it is there
    void delete_table();  // ENOENT if it is not
    void add(const Set& set);
    void add(const Chain& chain);
    void add(const Rule& rule);
    void add_elements(const std::string& set, std::span<const Element> elements);     // no error if they are there
    void delete_elements(const std::string& set, std::span<const Element> elements);  // ENOENT if one is not

    void empty_set(const std::string& set);

private:
    friend class Socket;
    struct Sealed {
        ByteSpan bytes;
        std::uint32_t first;  // sequence numbers: of the batch's beginning
        std::uint32_t last;   // and of its last change
    };
    nlmsghdr* start(std::uint16_t type, std::uint16_t flags, std::string label);
    void finish(const nlmsghdr* message);
    void change_elements(std::uint16_t type, const std::string& set, std::span<const Element> elements);
    void put_elements(std::uint16_t type, const std::string& set, std::span<const Element> elements);
    Sealed seal(std::uint32_t first_number);  // nothing can be added afterwards

    TableName table_;
    std::vector<char> buffer_;
    std::size_t used_ = 0;
    std::vector<std::string> labels_;  // of the changes, for messages
};

class Socket {
public:
    [[nodiscard]] static Result<Socket> open();

    // What the kernel's notifications of our own changes are marked with.
    [[nodiscard]] std::uint32_t port_id() const { return port_id_; }

    // 0, or the errno of the first refusal; `refused` then names the change. Waits for the kernel's word, at most
    // a second (ETIMEDOUT).
    [[nodiscard]] int commit(Batch& batch, std::string* refused = nullptr);
    // Whether the last commit may have been done or not: it was sent, and the kernel's word did not come or was lost.
    [[nodiscard]] bool is_in_doubt() const { return in_doubt_; }

    // Nothing if there is no such table or set. A change by others half-way through makes it start again.
    [[nodiscard]] Result<std::optional<TableImage>> read_table(const TableName& table);
    [[nodiscard]] Result<std::optional<SetImage>> read_set(const TableName& table, const std::string& set);

    // Of all tables.
    [[nodiscard]] Result<std::vector<NamedChain>> all_chains();

    // Whether a rule of any table looks a packet up in this set; or, of any table but this one, at a packet's mark.
    [[nodiscard]] Result<bool> any_rule_looks_up(const TableName& table, const std::string& set);
    [[nodiscard]] Result<bool> any_rule_reads_mark(const TableName& but);

private:
    using Fill = std::function<void(nlmsghdr*)>;             // adds the request's attributes
    using OnMessage = std::function<bool(const nlmsghdr*)>;  // false: not to be understood
    struct Query {
        std::uint16_t type;
        std::uint8_t family;
        bool dump;  // many answers
    };
    Socket(Descriptor fd, std::uint32_t port_id) : fd_(std::move(fd)), port_id_(port_id) {}

    int ask(const Query& query, const Fill& fill, const OnMessage& on_message);
    int ask_once(const Query& query, const Fill& fill, const OnMessage& on_message);
    int send(ByteSpan bytes);
    int await(int milliseconds);
    Result<std::size_t> receive();  // bytes of one datagram of the kernel's, in buffer_

    Result<bool> any_rule(const std::function<bool(const TableName& table, const std::string& text)>& is_wanted);
    int read_flags(const TableName& table, TableImage& image);
    int read_chains(const TableName& table, TableImage& image);
    int read_rules(const TableName& table, TableImage& image);
    int read_sets(const TableName& table, const std::optional<std::string>& only,
                  std::map<std::string, SetImage>& sets);
    int read_elements(const TableName& table, const std::string& name, SetImage& set);

    Descriptor fd_;
    std::uint32_t port_id_;
    std::uint32_t next_number_ = 1;
    std::vector<char> buffer_;
    bool in_doubt_ = false;
};

// What read_table() gives for a table that was built from this description.
[[nodiscard]] TableImage image_of(const Ruleset& ruleset);

// The kernel's NFT_SET_* bits.
[[nodiscard]] std::uint32_t flags_of(const Set& set);

// One rule as text: of libnftnl's expressions, made from ours.
[[nodiscard]] std::string text_of(const TableName& table, const Rule& rule);

}  // namespace oneknock::nft
