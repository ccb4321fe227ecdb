// Our rules as libnftnl's objects.
#include <array>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "server/firewall/nft/handles.hpp"
#include "server/firewall/nft/nft.hpp"

namespace oneknock::nft {
namespace {

nftnl_expr* expression(const char* name) { return allocated(nftnl_expr_alloc(name)); }

void set_bytes(nftnl_expr* e, std::uint16_t attribute, const ByteString& bytes) {
    nftnl_expr_set(e, attribute, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

nftnl_expr* build(const LoadMeta& load) {
    nftnl_expr* e = expression("meta");
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, load.key);
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, load.to);
    return e;
}

nftnl_expr* build(const StoreMark& store) {
    nftnl_expr* e = expression("meta");
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, store.from);
    return e;
}

nftnl_expr* build(const LoadPayload& load) {
    nftnl_expr* e = expression("payload");
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, load.base);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, load.offset);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, load.length);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, load.to);
    return e;
}

nftnl_expr* build(const LoadFibType& load) {
    nftnl_expr* e = expression("fib");
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, load.of);
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, load.to);
    return e;
}

nftnl_expr* build(const LoadHeader& load) {
    nftnl_expr* e = expression("exthdr");
    nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OP, load.where);
    nftnl_expr_set_u8(e, NFTNL_EXPR_EXTHDR_TYPE, load.type);
    nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OFFSET, load.offset);
    nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_LEN, load.length);
    nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_FLAGS, 0);
    nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_DREG, load.to);
    return e;
}

nftnl_expr* build(const LoadRoute& load) {
    nftnl_expr* e = expression("rt");
    nftnl_expr_set_u32(e, NFTNL_EXPR_RT_KEY, load.key);
    nftnl_expr_set_u32(e, NFTNL_EXPR_RT_DREG, load.to);
    return e;
}

nftnl_expr* build(const LoadConstant& load) {
    nftnl_expr* e = expression("immediate");
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, load.to);
    set_bytes(e, NFTNL_EXPR_IMM_DATA, load.data);
    return e;
}

nftnl_expr* build(const Mask& mask) {
    nftnl_expr* e = expression("bitwise");
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, mask.in);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, mask.in);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, static_cast<std::uint32_t>(mask.mask.size()));
    set_bytes(e, NFTNL_EXPR_BITWISE_MASK, mask.mask);
    set_bytes(e, NFTNL_EXPR_BITWISE_XOR, ByteString(mask.mask.size()));
    return e;
}

nftnl_expr* build(const Compare& compare) {
    nftnl_expr* e = expression("cmp");
    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, compare.from);
    nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, compare.equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    set_bytes(e, NFTNL_EXPR_CMP_DATA, compare.data);
    return e;
}

nftnl_expr* build(const Hash& hash) {
    nftnl_expr* e = expression("hash");
    nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
    nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, hash.from);
    nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, hash.length);
    nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, hash.to);
    nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, hash.modulus);
    nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, hash.seed);
    nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_OFFSET, hash.offset);
    return e;
}

nftnl_expr* build(const ToNetworkOrder& order) {
    nftnl_expr* e = expression("byteorder");
    nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, order.in);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, order.in);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, 4);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, 4);
    return e;
}

nftnl_expr* build(const StoreNetworkHeader& store) {
    nftnl_expr* e = expression("payload");
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_SREG, store.from);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, store.offset);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, store.length);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_NONE);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, 0);
    nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_FLAGS, 0);
    return e;
}

nftnl_expr* build(const LookUp& look_up) {
    nftnl_expr* e = expression("lookup");
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, look_up.from);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, look_up.set.c_str());
    // Given even when 0, as the kernel gives it back.
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, look_up.inverted ? NFT_LOOKUP_F_INV : 0);
    return e;
}

nftnl_expr* build(const OverLimit& limit) {
    constexpr std::uint64_t minute = 60;
    nftnl_expr* e = expression("limit");
    nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_RATE, limit.a_minute);
    nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_UNIT, minute);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_BURST, limit.burst);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
    return e;
}

nftnl_expr* build(const Update& update) {
    nftnl_expr* e = expression("dynset");
    nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, update.set.c_str());
    nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
    nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, update.from);
    nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT,
                       static_cast<std::uint64_t>(std::chrono::milliseconds(update.timeout).count()));
    if (update.limit) nftnl_expr_add_expr(e, NFTNL_EXPR_DYNSET_EXPRESSIONS, build(*update.limit));
    return e;
}

nftnl_expr* build(const Verdict& verdict) {
    nftnl_expr* e = expression("immediate");
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(verdict.code));
    if (!verdict.chain.empty()) nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, verdict.chain.c_str());
    return e;
}

nftnl_expr* build(const Reject& reject) {
    nftnl_expr* e = expression("reject");
    nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, reject.type);
    nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, reject.code);
    return e;
}

}  // namespace

RuleHandle build_rule(const TableName& table, const Rule& rule) {
    RuleHandle handle = new_rule();
    nftnl_rule_set_u32(handle.get(), NFTNL_RULE_FAMILY, table.family);
    nftnl_rule_set_str(handle.get(), NFTNL_RULE_TABLE, table.name.c_str());
    nftnl_rule_set_str(handle.get(), NFTNL_RULE_CHAIN, rule.chain.c_str());
    for (const Expression& e : rule.expressions)
        nftnl_rule_add_expr(handle.get(), std::visit([](const auto& kind) { return build(kind); }, e));
    return handle;
}

std::string expressions_text(const nftnl_rule* rule) {
    std::string text;
    nftnl_expr_iter* all = allocated(nftnl_expr_iter_create(rule));
    while (const nftnl_expr* e = nftnl_expr_iter_next(all)) {
        std::array<char, 512> line{};
        nftnl_expr_snprintf(line.data(), line.size(), e, NFTNL_OUTPUT_DEFAULT, 0);
        // The name stands first, since libnftnl's text of some expressions (counter, log) may be cut short or empty.
        text += std::string(nftnl_expr_get_str(e, NFTNL_EXPR_NAME)) + ": " + line.data() + "\n";
    }
    nftnl_expr_iter_destroy(all);
    return text;
}

std::string text_of(const TableName& table, const Rule& rule) {
    return expressions_text(build_rule(table, rule).get());
}

}  // namespace oneknock::nft
