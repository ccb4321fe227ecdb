// The examples at the end of each subcommand's help.
#pragma once

namespace oneknock::keygen {

inline constexpr const char* setup_examples =
    "  oneknock-keygen setup\n"
    "  oneknock-keygen setup --name home --address server.example.org \\\n      --service ssh=tcp/22 --client laptop";
inline constexpr const char* init_examples =
    "  oneknock-keygen init --name home --address server.example.org \\\n      --service ssh=tcp/22\n"
    "  oneknock-keygen init --name home --address 192.0.2.1 \\\n      --service ssh=tcp/22 --service vpn=udp/51820\n"
    "  oneknock-keygen init --dir /etc/oneknock-office --name office \\\n      --address 192.0.2.1 --service "
    "imap=tcp/993 --table oneknock_office \\\n"
    "      --state /var/lib/oneknock-office --socket /run/oneknock/office.sock";
inline constexpr const char* add_examples =
    "  oneknock-keygen add laptop --allow ssh -o laptop.json\n"
    "  oneknock-keygen add desk --allow ssh --expires 2027-01-31 -o - | \\\n      ssh desk oneknock import -\n"
    "  oneknock-keygen add work --allow ssh --for oneknock-enrol:01... -o work.json\n"
    "  oneknock-keygen add phone --allow web --source observed --qr \\\n      --page-url https://knock.example.org/";
inline constexpr const char* rotate_examples =
    "  oneknock-keygen rotate laptop -o laptop-2.json\n"
    "  oneknock-keygen rotate --door --overlap 2w -o new-keys";
inline constexpr const char* list_examples =
    "  oneknock-keygen list\n"
    "  oneknock-keygen list --json";
inline constexpr const char* show_examples =
    "  oneknock-keygen show laptop\n"
    "  oneknock-keygen show laptop --json";
inline constexpr const char* allow_examples =
    "  oneknock-keygen allow laptop web\n"
    "  oneknock-keygen allow laptop web vpn --dir /etc/oneknock";
inline constexpr const char* deny_examples =
    "  oneknock-keygen deny laptop web\n"
    "  oneknock-keygen deny laptop web vpn --dir /etc/oneknock";
inline constexpr const char* limit_examples =
    "  oneknock-keygen limit laptop --source observed --max-duration 5m\n"
    "  oneknock-keygen limit laptop --expires never";
inline constexpr const char* revoke_examples =
    "  oneknock-keygen revoke laptop\n"
    "  oneknock-keygen revoke laptop --dir /etc/oneknock";
inline constexpr const char* unrevoke_examples =
    "  oneknock-keygen unrevoke laptop\n"
    "  oneknock-keygen unrevoke laptop --dir /etc/oneknock";
inline constexpr const char* service_examples =
    "  oneknock-keygen service add web=tcp/443\n"
    "  oneknock-keygen service list";
inline constexpr const char* service_add_examples =
    "  oneknock-keygen service add web=tcp/443\n"
    "  oneknock-keygen service add web=tcp/443 vpn=udp/51820";
inline constexpr const char* service_remove_examples =
    "  oneknock-keygen service remove web\n"
    "  oneknock-keygen service remove web vpn";
inline constexpr const char* service_list_examples =
    "  oneknock-keygen service list\n"
    "  oneknock-keygen service list --json";

}  // namespace oneknock::keygen
