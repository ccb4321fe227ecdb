#include "server/listener/pcap_link_type.hpp"

#include <pcap/pcap.h>

namespace oneknock {

std::optional<LinkLayer> link_layer_of(int link_type) {
    switch (link_type) {
        case DLT_EN10MB: return LinkLayer::ethernet;
        case DLT_LINUX_SLL: return LinkLayer::cooked;
        case DLT_LINUX_SLL2: return LinkLayer::cooked_v2;
        case DLT_RAW:
        case 101 /* LINKTYPE_RAW, as some writers leave it */:
        case DLT_IPV4:
        case DLT_IPV6: return LinkLayer::raw;
        case DLT_NULL:
        case DLT_LOOP: return LinkLayer::null_family;
        default: return std::nullopt;
    }
}

std::string link_type_name(int link_type) {
    const char* name = pcap_datalink_val_to_name(link_type);
    return name != nullptr ? name : std::to_string(link_type);
}

}  // namespace oneknock
