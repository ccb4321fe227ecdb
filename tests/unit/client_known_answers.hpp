// The known answers for clients, tests/vectors/client-v1.json, which its tests of C++ share.
#pragma once

#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/catch.hpp"

namespace oneknock::test {

inline nlohmann::ordered_json read_client_vectors() {
    std::ifstream file(ONEKNOCK_CLIENT_VECTORS);
    REQUIRE(file.good());
    return nlohmann::ordered_json::parse(file);
}

// The key that a case is about: one of `keys`, perhaps changed.
inline std::string key_text(const nlohmann::ordered_json& vectors, const nlohmann::ordered_json& one) {
    nlohmann::ordered_json key = vectors["keys"][one["key"].get<std::string>()];
    if (one.contains("change")) key.merge_patch(one["change"]);
    return key.dump();
}

}  // namespace oneknock::test
