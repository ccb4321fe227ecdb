// A file of each kind that is right.
#pragma once

#include <string>

namespace oneknock::test {

inline const std::string secret_1 = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";  // 32 times 0x01
inline const std::string secret_2 = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

inline const std::string valid_door = R"({
  "oneknock": "door",
  "version": 1,
  "name": "home",
  "address": "door.example.org",
  "id": "000102030405060708090a0b0c0d0e0f",
  "span": "20000-60000,!30000-30999",
  "services": {
    "ssh": "tcp/22",
    "vpn": "udp/51820"
  },
  "generations": [
    {
      "generation": 1,
      "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
      "not_before": "2026-11-23T07:00:00Z",
      "not_after": "2027-01-01T00:00:00Z"
    },
    {
      "generation": 3,
      "secret": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
      "not_before": "2026-12-25T00:00:00Z",
      "not_after": null
    }
  ]
}
)";

inline const std::string valid_client = R"({
  "oneknock": "client",
  "version": 1,
  "name": "alice",
  "allow": ["ssh", "vpn"],
  "source": "192.0.2.0/24",
  "max_duration": "90s",
  "connections": null,
  "revoked": true,
  "expires": "2027-01-31T00:00:00Z",
  "generations": [
    {
      "generation": 2,
      "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
      "not_before": "2026-11-23T07:00:00Z",
      "not_after": null
    }
  ]
}
)";

inline const std::string valid_key_file = R"({
  "oneknock": "client-key",
  "version": 1,
  "door": {
    "name": "home",
    "address": "2001:db8::1",
    "id": "000102030405060708090a0b0c0d0e0f",
    "span": "1024-65535",
    "secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    "generation": 3
  },
  "client": {
    "name": "alice",
    "secret": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
    "generation": 2,
    "source": "observed",
    "max_duration": "2m"
  },
  "services": {
    "ssh": "tcp/22"
  },
  "created": "2026-11-23T07:00:00Z",
  "expires": null
}
)";

}  // namespace oneknock::test
