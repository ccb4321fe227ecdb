#include "keys/generations.hpp"

#include "keys/fields.hpp"

namespace oneknock {
namespace {

constexpr std::string_view list_field = "generations";

Generation read_generation(json::Context& context, const json::Value& value, const std::string& path) {
    json::Object object(context, value, path);
    Generation generation;
    generation.number = fields::generation(object, "generation");
    generation.secret = object.secret("secret");
    generation.not_before = fields::time(object, "not_before");
    generation.not_after = fields::optional_time(object, "not_after");
    if (generation.not_after && *generation.not_after <= generation.not_before)
        object.complain("not_after", "must be null or later than not_before");
    object.finish();
    return generation;
}

}  // namespace

std::vector<Generation> read_generations(json::Context& context, json::Object& object) {
    std::vector<Generation> generations;
    const json::Value* list = object.array(list_field);
    if (list == nullptr) return generations;
    if (list->items.empty()) object.complain(list_field, "must have at least one generation");
    for (const json::Value& item : list->items) {
        const std::string path = std::string(list_field) + "[" + std::to_string(generations.size()) + "]";
        Generation generation = read_generation(context, item, path);
        if (!generations.empty() && generation.number <= generations.back().number)
            context.complain(item.line, path + ".generation", "must be greater than the one before");
        if (context.failed()) break;
        generations.push_back(std::move(generation));
    }
    return generations;
}

void write_generations(JsonWriter& writer, const std::vector<Generation>& generations) {
    writer.begin_array(list_field);
    for (const Generation& generation : generations) {
        writer.begin_object();
        writer.integer("generation", generation.number);
        writer.secret("secret", generation.secret);
        writer.time("not_before", generation.not_before);
        writer.time_or_null("not_after", generation.not_after);
        writer.end();
    }
    writer.end();
}

}  // namespace oneknock
