#include "common/json.hpp"

#include <nlohmann/json.hpp>

#include "common/json_text.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

std::string error_of(std::string_view text) {
    const auto value = json::parse(text, "f.json");
    if (!value) return value.error().message;
    json::Context context("f.json");
    json::Object object(context, *value);
    object.header("door");
    (void)object.string("name");
    (void)object.optional_integer("count", 0, 10);
    object.finish();
    return context.error() ? context.error()->message : "";
}

}  // namespace

TEST_CASE("a strict reading names file, line and field") {
    CHECK(error_of(R"({"oneknock":"door","version":1,"name":"a"})").empty());
    CHECK(error_of("{\"oneknock\":\"door\",\"version\":1, // a comment\n \"x-note\":[1,{\"b\":2}],\n\"name\":\"a\"}")
              .empty());
    CHECK_THAT(error_of("{\"oneknock\":\"door\",\n\"version\":1,\n\"name\":\"a\",\n\"nmae\":1}"),
               Catch::StartsWith("f.json:4: field \"nmae\": is unknown"));
    CHECK_THAT(error_of("{\"oneknock\":\"door\",\n\"version\":1,\n\"name\":\"a\",\n\"name\":\"b\"}"),
               Catch::StartsWith("f.json:4: field \"name\" appears twice"));
    CHECK_THAT(error_of("{\"oneknock\":\"door\",\n\"version\":2\n,\"name\":\"a\"}"),
               Catch::StartsWith("f.json:2: field \"version\": 2 is newer"));
    CHECK_THAT(error_of("{\"oneknock\":\"client\",\"version\":1,\"name\":\"a\"}"),
               Catch::Contains("kind \"door\" is wanted"));
    CHECK_THAT(error_of("{\"oneknock\":\"door\",\"version\":1}"),
               Catch::StartsWith("f.json:1: field \"name\": is missing"));
    CHECK_THAT(error_of("{\"oneknock\":\"door\",\"version\":1,\"name\":1}"), Catch::Contains("must be a string"));
    CHECK_THAT(error_of("{\"oneknock\":\"door\",\"version\":1,\"name\":\"a\",\n\n\"count\":11}"),
               Catch::StartsWith("f.json:3: field \"count\": must be from 0 to 10"));
    CHECK_THAT(error_of("{\"oneknock\":\"door\",\n\"version\":1,"), Catch::StartsWith("f.json:2: not valid JSON"));
    CHECK_THAT(error_of("[]"), Catch::Contains("must be an object"));
    CHECK_THAT(error_of(""), Catch::StartsWith("f.json:1: not valid JSON"));
    CHECK_THAT(error_of(std::string(40, '[')), Catch::Contains("nested too deeply"));
}

TEST_CASE("no complaint carries a control character from a file to a terminal") {
    const std::string csi = "\u009b";  // U+009B, which some terminals obey as ESC [
    for (const std::string& name : {std::string("a\x7f") + "b", "a" + csi + "2Jb"}) {
        const auto twice = json::parse("{\"" + name + "\":1,\"" + name + "\":2}", "f");
        REQUIRE_FALSE(twice);
        CHECK(printable(twice.error().message) == twice.error().message);
        const auto unknown = json::parse("{\"" + name + "\":1}", "f");
        REQUIRE(unknown);
        json::Context context("f");
        json::Object(context, *unknown).finish();
        REQUIRE(context.failed());
        CHECK(printable(context.error()->message) == context.error()->message);
    }
}

TEST_CASE("no JSON that is printed carries a control character, and it says the same") {
    const std::string steers = "\x01\n\x1f \x7f\u0080\u009b\u009f\u00a0caf\u00e9\u20ac";
    CHECK(json::quote(steers) == "\"\\u0001\\n\\u001f \\u007f\\u0080\\u009b\\u009f\u00a0caf\u00e9\u20ac\"");
    CHECK(nlohmann::json::parse(json::quote(steers)) == steers);
    CHECK(json::quote("\xc2\x9b\xff") == "\"\\u009b\ufffd\"");
    CHECK(json::text({{"a\x7f", 1}}) == R"({"a\u007f":1})");
}

TEST_CASE("a secret is the one that the file says, however it is written") {
    const std::string first = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", zeros = std::string(43, 'A') + "=";
    for (const std::string& text : {
             "{\"secret\":\"" + first + "\"}",
             "{\"secret\" : // it was \"" + zeros + "\"\n\"" + first + "\"}",
             "{\"secret\":\"" + first + "\", // not \"" + zeros + "\"\n \"name\":\"" + zeros + "\"}",
             std::string(R"({"secret":"\u0041QIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="})"),
         }) {
        CAPTURE(text);
        const auto parsed = json::parse(text, "f");
        REQUIRE(parsed);
        REQUIRE(parsed->members[0].value.secret);
        CHECK(parsed->members[0].value.secret->bytes()[0] == 1);
        CHECK(parsed->members[0].value.secret->bytes()[31] == 0x20);
        if (parsed->members.size() > 1) CHECK(parsed->members[1].value.text == zeros);
    }
    for (const std::string& bad :
         {"{\"secret\": // \"" + first + "\"\n\"\"}", "{\"secret\": // \"" + first + "\"\n\"short\"}",
          "{\"secret\":\"" + first, "{\"secret\":\"" + first + "\"\"" + first + "\"}"})
        CHECK_FALSE(json::parse(bad, "f"));
}

TEST_CASE("secrets are decoded into locked memory and never quoted in an error") {
    const auto good = json::parse(R"({"secret":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="})", "f");
    REQUIRE(good);
    CHECK(good->members[0].value.text.empty());
    REQUIRE(good->members[0].value.secret);
    CHECK(good->members[0].value.secret->bytes()[31] == 0x20);
    for (const char* bad : {R"({"secret":"c2hvcnQ="})", R"({"secret":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy*="})",
                            R"({"secret":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="", )"}) {
        const auto refused = json::parse(bad, "f");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message.find("AQID") == std::string::npos);
        CHECK(refused.error().message.find("c2ho") == std::string::npos);
    }
}
