#include "keys/json_writer.hpp"

#include <vector>

#include "common/json.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("what is written is laid out for people, in the order of writing") {
    JsonWriter writer;
    writer.string("text", "a \"quoted\"\nline");
    writer.integer("number", -5);
    writer.boolean("yes", true);
    writer.null("nothing");
    writer.strings("list", {"a", "b"});
    writer.strings("short", {});
    writer.begin_object("object");
    writer.duration("duration", Seconds{120});
    writer.time_or_null("never", std::nullopt);
    writer.end();
    writer.begin_array("array");
    writer.begin_object();
    writer.time("time", UnixTime{Seconds{1'795'417'200}});
    writer.end();
    writer.begin_object();
    writer.end();
    CHECK(std::move(writer).finish().text() == R"({
  "text": "a \"quoted\"\nline",
  "number": -5,
  "yes": true,
  "nothing": null,
  "list": ["a", "b"],
  "short": [],
  "object": {
    "duration": "2m",
    "never": null
  },
  "array": [
    {
      "time": "2026-11-23T07:00:00Z"
    },
    {}
  ]
}
)");
}

TEST_CASE("an object without members is written as one") { CHECK(std::move(JsonWriter()).finish().text() == "{}\n"); }

TEST_CASE("a text that outgrows its first memory keeps every secret") {
    std::vector<Secret32> secrets;
    JsonWriter writer;
    writer.begin_array("list");
    for (int i = 0; i < 500; ++i) {
        secrets.push_back(Secret32::random());
        writer.begin_object();
        writer.secret("secret", secrets.back());
        writer.end();
    }
    const SecretBytes text = std::move(writer).finish();
    const auto read = json::parse(text.text(), "file");
    REQUIRE(read);
    const auto& items = read->members.at(0).value.items;
    REQUIRE(items.size() == secrets.size());
    for (std::size_t i = 0; i < items.size(); ++i) CHECK(items[i].members.at(0).value.secret->equals(secrets[i]));
}
