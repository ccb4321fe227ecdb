// The kernel's answers over netlink at the firewall's readers. The socket's system calls are replaced by what the
// fuzzer made up; what it begins with is what we ourselves send to the kernel, which lists in the same format.
#include <cerrno>
#include <csetjmp>
#include <cstring>
#include <deque>

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/firewall/nft/nft.hpp"
#include "server/firewall/nft/watch.hpp"
#include "server/firewall/table/element_key.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/home.hpp"

namespace {

constexpr std::uint32_t port_id = 4711;

// What the kernel will say, and what was said to it last.
std::deque<oneknock::fuzz::Bytes> answers;
oneknock::fuzz::Bytes asked;

std::jmp_buf refusal;
bool is_reading = false;

std::uint32_t number_asked() {
    nlmsghdr header{};
    std::memcpy(&header, asked.data(), std::min(asked.size(), sizeof header));
    return header.nlmsg_seq;
}

// The numbers of most messages are the question's: else nothing would be read.
ssize_t next_answer(void* to, std::size_t room, bool numbered) {
    if (answers.empty()) {
        errno = ENOBUFS;
        return -1;
    }
    oneknock::fuzz::Bytes bytes = std::move(answers.front());
    answers.pop_front();
    for (std::size_t at = 0; numbered && at + sizeof(nlmsghdr) <= bytes.size();) {
        nlmsghdr header{};
        std::memcpy(&header, &bytes[at], sizeof header);
        if (header.nlmsg_seq == 0) header.nlmsg_seq = number_asked();
        std::memcpy(&bytes[at], &header, sizeof header);
        at += std::max<std::size_t>(NLMSG_ALIGN(std::min<std::size_t>(header.nlmsg_len, bytes.size())), 4);
    }
    std::memcpy(to, bytes.data(), std::min(room, bytes.size()));
    return static_cast<ssize_t>(bytes.size());
}

}  // namespace

extern "C" {
const char* __asan_default_options() { return "detect_leaks=0"; }

// In the place of libc's, also for libnftnl.
void exit(int status) noexcept {
    if (is_reading) std::longjmp(refusal, 1);
    std::fflush(nullptr);
    _exit(status);
}

int __wrap_socket(int, int, int) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }
int __wrap_bind(int, const sockaddr*, socklen_t) { return 0; }
int __wrap_setsockopt(int, int, int, const void*, socklen_t) { return 0; }
int __wrap_poll(pollfd*, nfds_t, int) { return 1; }
int __wrap_getsockname(int, sockaddr* address, socklen_t*) {
    reinterpret_cast<sockaddr_nl*>(address)->nl_pid = port_id;
    return 0;
}
ssize_t __wrap_sendto(int, const void* bytes, size_t size, int, const sockaddr*, socklen_t) {
    const auto* begin = static_cast<const std::uint8_t*>(bytes);
    asked.assign(begin, begin + size);
    return static_cast<ssize_t>(size);
}
ssize_t __wrap_recvfrom(int, void* to, size_t room, int, sockaddr*, socklen_t*) {
    return std::min(next_answer(to, room, true), static_cast<ssize_t>(room));
}
ssize_t __wrap_recv(int, void* to, size_t room, int) { return next_answer(to, room, false); }
}

namespace oneknock::fuzz {
namespace {

const FirewallConfig config;
const std::vector<Service> services{ssh, vpn, web};
constexpr std::size_t most_answers = 64;

// Our own messages to the kernel, by type: attributes as it lists them.
std::map<std::uint8_t, std::vector<Bytes>> sent_by_us();

const auto& real() {
    static const auto messages = sent_by_us();
    return messages;
}

// The attributes of one message, put together by libmnl.
class Attributes {
public:
    Attributes() : header_(mnl_nlmsg_put_header(buffer_.data())) {
        mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg));
    }
    void text(std::uint16_t type, const std::string& text) { mnl_attr_put_strz(header_, type, text.c_str()); }
    void number(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, htonl(value)); }
    void number64(std::uint16_t type, std::uint64_t value) {
        mnl_attr_put_u64(header_, type,
                         static_cast<std::uint64_t>(htonl(static_cast<std::uint32_t>(value >> 32))) |
                             std::uint64_t{htonl(static_cast<std::uint32_t>(value))} << 32);
    }
    void bytes(std::uint16_t type, ByteSpan bytes) { mnl_attr_put(header_, type, bytes.size(), bytes.data()); }
    nlattr* begin(std::uint16_t type) { return mnl_attr_nest_start(header_, type); }
    void end(nlattr* nest) { mnl_attr_nest_end(header_, nest); }
    [[nodiscard]] Bytes payload() const {
        const auto* begin = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(header_));
        return {begin, begin + mnl_nlmsg_get_payload_len(header_)};
    }

private:
    std::array<char, 8192> buffer_{};
    nlmsghdr* header_;
};

std::string take_name(Input& input, const std::string& usual) {
    const std::uint8_t choice = input.u8();
    if (choice % 4 != 3) return choice % 4 == 2 ? grant_sets(config).ipv6 : usual;
    const ByteSpan text = input.take(choice / 4);
    return {text.begin(), text.end()};
}

Bytes take_set(Input& input) {
    Attributes set;
    const GrantSets names = grant_sets(config);
    set.text(NFTA_SET_TABLE, input.u8() == 255 ? "other" : names.table.name);
    set.text(NFTA_SET_NAME, take_name(input, names.ipv4));
    set.number(NFTA_SET_FLAGS, input.u8());
    set.number(NFTA_SET_KEY_TYPE, input.u32());
    set.number(NFTA_SET_KEY_LEN, input.u8());
    if (input.flag()) {
        nlattr* description = set.begin(NFTA_SET_DESC);
        set.number(NFTA_SET_DESC_SIZE, input.u32());
        set.end(description);
    }
    return set.payload();
}

ByteString take_key(Input& input) {
    const std::uint8_t choice = input.u8();
    const Service service = services[choice % services.size()];
    if ((choice & 64) != 0) {
        const ByteSpan any = input.take(choice % 64);
        return {any.begin(), any.end()};
    }
    Address address = Address::any((choice & 32) != 0 ? Family::ipv6 : Family::ipv4);
    address.bytes[0] = input.u8();
    return element_key({service, address});
}

void put_element(Attributes& list, Input& input) {
    nlattr* element = list.begin(NFTA_LIST_ELEM);
    const std::uint8_t has = input.u8();
    if ((has & 1) == 0) {
        nlattr* key = list.begin(NFTA_SET_ELEM_KEY);
        list.bytes(NFTA_DATA_VALUE, take_key(input));
        list.end(key);
    }
    if ((has & 2) != 0) list.number(NFTA_SET_ELEM_FLAGS, input.u8());
    if ((has & 4) != 0) list.number64(NFTA_SET_ELEM_TIMEOUT, input.u64());
    if ((has & 8) != 0) list.number64(NFTA_SET_ELEM_EXPIRATION, (has & 16) != 0 ? input.u64() : input.u16());
    if ((has & 32) != 0)
        list.bytes(NFTA_SET_ELEM_USERDATA, (has & 64) != 0 ? as_bytes({"\0\x09oneknock", 11}) : input.take(9));
    list.end(element);
}

Bytes take_elements(Input& input) {
    Attributes elements;
    const GrantSets names = grant_sets(config);
    elements.text(NFTA_SET_ELEM_LIST_TABLE, names.table.name);
    elements.text(NFTA_SET_ELEM_LIST_SET, take_name(input, names.ipv4));
    nlattr* list = elements.begin(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (std::size_t count = input.u8() % 16; count > 0; --count) put_element(elements, input);
    elements.end(list);
    return elements.payload();
}

// What it is about is in the low bits of `how`.
Bytes take_payload(Input& input, std::uint8_t how, nlmsghdr& header, bool goes_to_libnftnl) {
    const auto of_type = [&](int type) {
        header.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
    };
    switch (how % 8) {
        case 0: return of_type(NFT_MSG_NEWSET), take_set(input);
        case 1: return of_type(NFT_MSG_NEWSETELEM), take_elements(input);
        case 2:
        case 3: {
            header.nlmsg_type = how % 8 == 2 ? NLMSG_ERROR : NLMSG_DONE;
            const ByteSpan code = input.take(input.u8() % 24);
            return {code.begin(), code.end()};
        }
        case 4: {
            const ByteSpan any = input.take(input.u8());
            of_type(input.flag() ? NFT_MSG_NEWTABLE : NFT_MSG_NEWCHAIN);
            if (!goes_to_libnftnl) header.nlmsg_type = input.u16();
            return {any.begin(), any.end()};
        }
        default: {
            const auto message = std::next(real().begin(), input.u8() % static_cast<long>(real().size()));
            of_type(message->first);
            return message->second[input.u8() % message->second.size()];
        }
    }
}

// Messages; the length in a header is right, unless it is to be wrong.
Bytes take_datagram(Input& input, bool goes_to_libnftnl) {
    Bytes datagram;
    for (bool more = true; more && !input.empty();) {
        const std::uint8_t how = input.u8();
        more = (how & 8) != 0;
        nlmsghdr header{};
        if ((how & 16) != 0) header.nlmsg_flags = NLM_F_DUMP_INTR;
        if ((how & 32) != 0) header.nlmsg_seq = input.u8();
        const Bytes payload = take_payload(input, how, header, goes_to_libnftnl);
        header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + payload.size());
        if ((how & 64) != 0) header.nlmsg_len = input.u8() % 20U;
        if ((how & 128) != 0) header.nlmsg_len += input.u16();  // cut short
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(&header);
        datagram.insert(datagram.end(), bytes, bytes + sizeof header);
        append(datagram, payload);
        datagram.resize(NLMSG_ALIGN(datagram.size()));
    }
    return datagram;
}

void check_sets(const GrantSets& names, const std::map<std::string, SetImage>& sets) {
    for (const auto& [name, set] : sets)
        for (const Family family : {Family::ipv4, Family::ipv6}) static_cast<void>(unfit_for_grants(family, set));
    const auto all = grants_in(names, sets, services, false), ours = grants_in(names, sets, services, true);
    HOLDS(ours.size() <= all.size());
    for (const auto& [grant, remaining] : all) {
        HOLDS(grant.address.is_canonical());
        HOLDS(std::ranges::find(services, grant.service) != services.end());
    }
    static_cast<void>(compare_elements(names, sets, GrantTable{}, Seconds{1000}));
}

void read_all(nft::Socket& socket, std::uint8_t what) {
    const GrantSets names = grant_sets(config);
    if (what % 4 == 0) {
        const auto table = socket.read_table(names.table);
        if (!table) return HOLDS(table.error() > 0);
        if (!*table) return;
        check_sets(names, (*table)->sets);
        static_cast<void>(same_structure(nft::image_of(describe_table(config, services, 1)), **table));
    } else if (what % 4 == 1) {
        const auto set = socket.read_set(names.table, names.ipv4);
        if (set && *set) check_sets(names, {{names.ipv4, **set}});
    } else if (what % 4 == 2) {
        nft::Batch batch(names.table);
        batch.add_table();
        std::string refused;
        HOLDS(socket.commit(batch, &refused) >= 0);
    } else {
        auto watch = NftWatch::open(names.table, (what & 4) != 0 ? NftWatch::Scope::sets : NftWatch::Scope::whole_table,
                                    port_id);
        HOLDS(watch);
        static_cast<void>(watch->drain());
    }
}

}  // namespace

void one_input(Input input) {
    static_cast<void>(real());
    answers.clear();
    const std::uint8_t what = input.u8();
    while (!input.empty() && answers.size() < most_answers) answers.push_back(take_datagram(input, what % 4 != 3));
    auto socket = nft::Socket::open();
    HOLDS(socket);
    if (setjmp(refusal) == 0) {
        is_reading = true;
        read_all(*socket, what);
    }
    is_reading = false;
}

namespace {

std::map<std::uint8_t, std::vector<Bytes>> sent_by_us() {
    const Ruleset ruleset = describe_table(config, services, 1);
    nft::Batch batch(ruleset.table);
    batch.add_table();
    for (const Set& set : ruleset.sets) {
        batch.add(set);
        std::vector<Element> elements;
        for (const ByteString& key : set.elements) elements.push_back({key, std::nullopt});
        if (set.timed && set.key_length == 12)
            elements.push_back({element_key({ssh, *Address::parse("192.0.2.7")}), std::chrono::milliseconds{30000}});
        if (!elements.empty()) batch.add_elements(set.name, elements);
    }
    for (const Chain& chain : ruleset.chains) batch.add(chain);
    for (const Rule& rule : ruleset.rules) batch.add(rule);
    answers.clear();
    auto socket = nft::Socket::open();
    HOLDS(socket && socket->commit(batch) == ENOBUFS);  // nobody answers
    std::map<std::uint8_t, std::vector<Bytes>> messages;
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= asked.size();) {
        nlmsghdr header{};
        std::memcpy(&header, &asked[at], sizeof header);
        messages[static_cast<std::uint8_t>(header.nlmsg_type & 0xff)].emplace_back(
            asked.begin() + static_cast<long>(at + sizeof header),
            asked.begin() + static_cast<long>(at + header.nlmsg_len));
        at += NLMSG_ALIGN(header.nlmsg_len);
    }
    return messages;
}

}  // namespace

std::vector<Bytes> seeds() {
    const auto number_of = [](std::uint8_t type) {
        return static_cast<std::uint8_t>(std::distance(real().begin(), real().find(type)));
    };
    const Bytes done{3, 0}, acknowledged{2, 4, 0, 0, 0, 0};
    const auto dump = [&](Bytes& seed, std::uint8_t type, std::size_t most) {
        for (std::size_t i = 0; i < std::min(most, real().at(type).size()); ++i)
            append(seed, Bytes{5, number_of(type), static_cast<std::uint8_t>(i)});
        append(seed, done);
    };
    Bytes table{0, 5 + 8, number_of(NFT_MSG_NEWTABLE), 0};
    append(table, acknowledged);
    for (const std::uint8_t type : {NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET}) dump(table, type, 64);
    for (std::size_t i = 0; i < real().at(NFT_MSG_NEWSET).size(); ++i) dump(table, NFT_MSG_NEWSETELEM, 1);
    Bytes set{1}, made_up{1, 0, 0, 0, 16, 0, 0, 0, 9, 12, 1, 0, 1, 0, 0}, watch{3};
    dump(set, NFT_MSG_NEWSET, 1);
    dump(set, NFT_MSG_NEWSETELEM, 8);
    append(made_up, done);
    append(made_up, Bytes{1, 0, 2, 104, 0, 192, 0, 30, 8, 1, 10, 1, 0});  // two elements
    append(made_up, done);
    for (const auto& [type, payloads] : real()) append(watch, Bytes{5, number_of(type), 0});
    return {table, set, made_up, watch, {2, 2, 4, 0xff, 0xff, 0xff, 0xff}, {7, 4, 4, 0, 0, 0, 0, 1, 10, 0}};
}

}  // namespace oneknock::fuzz
