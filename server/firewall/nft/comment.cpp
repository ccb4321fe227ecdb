#include <algorithm>
#include <string_view>

#include <libnftnl/udata.h>

#include "server/firewall/nft/handles.hpp"

namespace oneknock::nft {
namespace {

// User data of an element as nft(8) writes it: a type, a length, and the text with its terminating zero.
constexpr char comment[] = "oneknock";
constexpr char user_data[] = {
    NFTNL_UDATA_SET_ELEM_COMMENT, sizeof comment, 'o', 'n', 'e', 'k', 'n', 'o', 'c', 'k', '\0'};
static_assert(sizeof user_data == 2 + sizeof comment);

}  // namespace

void set_comment(nftnl_set_elem* element) {
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_USERDATA, user_data, sizeof user_data);
}

bool has_our_comment(nftnl_set_elem* element) {
    std::uint32_t length = 0;
    const auto* data = static_cast<const char*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_USERDATA, &length));
    return data != nullptr && std::string_view(data, length) == std::string_view(user_data, sizeof user_data);
}

}  // namespace oneknock::nft
