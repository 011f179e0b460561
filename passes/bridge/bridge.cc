// The door between MindSpore's compiler and the passes: it writes a compiled graph out as JSON, hands it to a callback,
// and applies the edits that come back. It holds no privacy logic. Whatever goes wrong, here or in the callback, is
// thrown from Run, which aborts the compilation: a step never runs with half of its edits or with none of them.
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "include/custom_pass_api.h"
#include "mindspore/core/include/abstract/ops/primitive_infer_map.h"
#include "mindspore/core/include/ir/graph_utils.h"
#include "mindspore/core/include/ir/manager.h"
#include "mindspore/core/include/ir/param_info.h"
#include "mindspore/core/include/ir/tensor_new.h"
#include "mindspore/core/include/utils/trace_base.h"
#include "nlohmann/json.hpp"

using json = nlohmann::json;

namespace mindspore {
namespace opt {
namespace {

// document -> reply; an empty reply leaves the graph alone
const char *(*callback)(const char *) = nullptr;
// the graph that the callback is looking at, for `mindveil_source`
std::vector<AnfNodePtr> *current = nullptr;

constexpr size_t kSmall = 64;  // tensors up to this many elements are written out with their values

[[noreturn]] void Fail(const std::string &what) { throw std::runtime_error("mindveil: " + what); }

// The first `count` elements, or null where they are of another type.
json TensorData(const tensor::TensorPtr &t, size_t count) {
  json data = json::array();
  const void *raw = t->unsafe_data();
  if (raw == nullptr || count > t->DataSize()) return nullptr;
  for (size_t i = 0; i < count; ++i) {
    switch (t->data_type()) {
      case kNumberTypeFloat32: data.push_back(static_cast<const float *>(raw)[i]); break;
      case kNumberTypeFloat64: data.push_back(static_cast<const double *>(raw)[i]); break;
      case kNumberTypeInt64: data.push_back(static_cast<const int64_t *>(raw)[i]); break;
      case kNumberTypeInt32: data.push_back(static_cast<const int32_t *>(raw)[i]); break;
      case kNumberTypeBool: data.push_back(static_cast<const bool *>(raw)[i]); break;
      default: return nullptr;
    }
  }
  return data;
}

// Whether all elements are the same bytes: such a constant holds no data of anybody's.
bool Uniform(const tensor::TensorPtr &t) {
  const auto *raw = static_cast<const char *>(t->unsafe_data());
  const size_t item = t->DataItemSize(), bytes = t->DataNBytes();
  return raw != nullptr && (bytes <= item || memcmp(raw, raw + item, bytes - item) == 0);
}

json ValueJson(const ValuePtr &v) {
  if (v == nullptr || v->isa<None>()) return nullptr;
  if (v->isa<Primitive>()) {
    auto p = v->cast<PrimitivePtr>();
    json attrs = json::object();
    for (auto &kv : p->attrs()) attrs[kv.first] = ValueJson(kv.second);
    return json{{"prim", p->name()}, {"attrs", attrs}};
  }
  if (v->isa<BoolImm>()) return GetValue<bool>(v);
  if (v->isa<Int64Imm>()) return GetValue<int64_t>(v);
  if (v->isa<Int32Imm>()) return GetValue<int32_t>(v);
  if (v->isa<FP32Imm>()) return GetValue<float>(v);
  if (v->isa<FP64Imm>()) return GetValue<double>(v);
  if (v->isa<StringImm>()) return GetValue<std::string>(v);
  if (v->isa<tensor::Tensor>()) {
    auto t = v->cast<tensor::TensorPtr>();
    const size_t size = t->DataSize();
    const bool uniform = Uniform(t);
    json j{{"tensor", size <= kSmall ? TensorData(t, size) : nullptr}, {"uniform", uniform}};
    if (uniform) j["fill"] = TensorData(t, 1);
    return j;
  }
  if (v->isa<ValueSequence>()) {
    json a = json::array();
    for (auto &e : v->cast<ValueSequencePtr>()->value()) a.push_back(ValueJson(e));
    return a;
  }
  return json{{"other", v->ToString()}};
}

json TypeJson(const abstract::AbstractBasePtr &a) {
  if (a == nullptr) return nullptr;
  json j{{"type", a->BuildType()->ToString()}};
  if (a->isa<abstract::AbstractTensor>()) {
    if (auto s = a->BuildShape()->cast<abstract::ShapePtr>()) j["shape"] = s->shape();
    j["dtype"] = a->cast<abstract::AbstractTensorPtr>()->element()->BuildType()->ToString();
    j["ref"] = a->isa<abstract::AbstractRefTensor>();
  } else if (a->isa<abstract::AbstractSequence>()) {
    j["elements"] = json::array();
    for (auto &x : a->cast<abstract::AbstractSequencePtr>()->elements()) j["elements"].push_back(TypeJson(x));
  }
  return j;
}

// ------------------------------------------------------------------------------------------------ graph -> document
struct Table {
  std::vector<AnfNodePtr> nodes;
  std::map<AnfNodePtr, size_t> ids;
  size_t Id(const AnfNodePtr &n) {
    auto r = ids.emplace(n, nodes.size());
    if (r.second) nodes.push_back(n);
    return r.first->second;
  }
};

json NodeJson(Table *table, size_t k) {
  auto n = table->nodes[k];
  json j{{"id", k}, {"abs", TypeJson(n->abstract())}};
  if (n->func_graph() != nullptr) j["graph"] = n->func_graph()->ToString();
  if (auto c = n->cast<CNodePtr>()) {
    j["kind"] = "op";
    j["in"] = json::array();
    for (size_t i = 1; i < c->size(); ++i) j["in"].push_back(table->Id(c->input(i)));
    auto f = c->input(0);
    j["op"] = IsValueNode<Primitive>(f) ? ValueJson(GetValueNode(f)) : json{{"prim", "Call"}, {"attrs", json::object()}};
    j["scope"] = n->fullname_with_scope();
  } else if (auto p = n->cast<ParameterPtr>()) {
    j["kind"] = "parameter";
    j["name"] = p->name();
    j["weight"] = p->has_default();
    j["trainable"] = p->param_info() != nullptr && p->param_info()->requires_grad();
  } else {
    j["kind"] = "value";
    j["value"] = ValueJson(GetValueNode(n));
  }
  return j;
}

json Document(const FuncGraphPtr &fg, Table *table) {
  json params = json::array(), nodes = json::array(), graphs = json::array();
  for (auto &p : fg->parameters()) params.push_back(table->Id(p));
  for (auto &n : TopoSort(fg->get_return(), SuccDeeperSimple)) table->Id(n);
  for (auto &g : fg->func_graphs_used_total()) graphs.push_back(g->ToString());
  for (size_t k = 0; k < table->nodes.size(); ++k) nodes.push_back(NodeJson(table, k));
  return json{{"graph", fg->ToString()}, {"subgraphs", graphs},           {"nodes", nodes},
              {"parameters", params},    {"return", table->Id(fg->get_return())}};
}

// ------------------------------------------------------------------------------------------------ edits -> graph
// Constants are tagged: {"int": 1}, {"ints": [..]}, {"bool": true}, {"str": ".."}, {"float": 1.0}, {"none": true},
// {"tensor": [..], "shape": [..], "dtype": "float32" | "int64" | "bool"}
ValuePtr Constant(const json &x) {
  if (x.contains("int")) return MakeValue(x["int"].get<int64_t>());
  if (x.contains("ints")) return MakeValue(x["ints"].get<std::vector<int64_t>>());
  if (x.contains("bool")) return MakeValue(x["bool"].get<bool>());
  if (x.contains("str")) return MakeValue(x["str"].get<std::string>());
  if (x.contains("float")) return MakeValue(x["float"].get<float>());
  if (x.contains("none")) return kNone;
  if (x.contains("tensor")) {
    auto shape = x["shape"].get<std::vector<int64_t>>();
    if (x["dtype"] == "float32") {
      auto d = x["tensor"].get<std::vector<float>>();
      return tensor::from_buffer(kNumberTypeFloat32, shape, d.data(), d.size() * sizeof(float));
    }
    if (x["dtype"] == "int64") {
      auto d = x["tensor"].get<std::vector<int64_t>>();
      return tensor::from_buffer(kNumberTypeInt64, shape, d.data(), d.size() * sizeof(int64_t));
    }
  }
  Fail("cannot make a constant of " + x.dump());
}

TypePtr DType(const std::string &name) {
  if (name == "Float32") return kFloat32;
  if (name == "Float16") return kFloat16;
  if (name == "Int32") return kInt32;
  if (name == "Int64") return kInt64;
  if (name == "Bool") return kBool;
  Fail("cannot make a node of type " + name);
}

abstract::AbstractBasePtr TensorType(const json &t) {
  if (t.contains("elements")) {
    abstract::AbstractBasePtrList l;
    for (auto &e : t["elements"]) l.push_back(TensorType(e));
    return std::make_shared<abstract::AbstractTuple>(l);
  }
  return std::make_shared<abstract::AbstractTensor>(DType(t["dtype"]), t["shape"].get<std::vector<int64_t>>());
}

class Editor {
 public:
  Editor(const FuncGraphPtr &fg, Table *table) : fg_(fg), table_(table) {}

  void Apply(const json &edits) {
    for (auto &n : edits["nodes"]) Add(n);
    auto manager = fg_->manager() ? fg_->manager() : Manage(fg_, true);
    for (auto &e : edits["edges"]) manager->SetEdge(Ref(e[0]), e[1].get<int>(), Ref(e[2]));
  }

 private:
  AnfNodePtr Ref(const json &x) {
    if (x.contains("n")) return table_->nodes.at(x["n"].get<size_t>());
    if (x.contains("new")) return fresh_.at(x["new"].get<std::string>());
    auto v = Constant(x);
    auto node = NewValueNode(v);
    node->set_abstract(v->ToAbstract());
    return node;
  }

  void Add(const json &n) {
    CNodePtr old = n.contains("clone") ? table_->nodes.at(n["clone"].get<size_t>())->cast<CNodePtr>() : nullptr;
    if (n.contains("clone") && old == nullptr) Fail("cannot clone a node that is no operation: " + n.dump());
    std::vector<AnfNodePtr> in{nullptr};
    for (auto &x : n["in"]) in.push_back(Ref(x));
    PrimitivePtr prim;
    if (old != nullptr) {
      in[0] = old->input(0);
      prim = GetValueNode<PrimitivePtr>(in[0]);
    } else {
      prim = std::make_shared<Primitive>(n["op"].get<std::string>());
      for (auto &kv : n["attrs"].items()) prim->AddAttr(kv.key(), Constant(kv.value()));
      in[0] = NewValueNode(prim);
    }
    auto c = (old != nullptr ? old->func_graph() : fg_)->NewCNode(in);
    c->set_abstract(Type(n, prim, in));
    fresh_[n["id"].get<std::string>()] = c;
  }

  // A declared type is believed by the kernels whatever it says, so it is compared with what MindSpore infers.
  abstract::AbstractBasePtr Type(const json &n, const PrimitivePtr &prim, const std::vector<AnfNodePtr> &in) {
    if (n.contains("like")) return Ref(n["like"])->abstract()->Clone();
    auto declared = TensorType(n["type"]);
    abstract::AbstractBasePtrList args;
    for (size_t i = 1; i < in.size(); ++i) args.push_back(in[i]->abstract());
    auto inferred = n.value("declared_only", false) ? std::nullopt : abstract::TryInferAbstract(prim, args);
    if (!inferred.has_value()) {
      if (n.value("declared_only", false)) return declared;
      Fail("MindSpore infers no type for " + prim->name() + "; a declared one would go unchecked");
    }
    auto got = TypeJson(*inferred), wanted = TypeJson(declared);
    if (got.value("shape", json()) != wanted.value("shape", json()) || got.value("dtype", "") != wanted.value("dtype", ""))
      Fail("a new " + prim->name() + " was declared as " + wanted.dump() + ", but is " + got.dump());
    return *inferred;
  }

  FuncGraphPtr fg_;
  Table *table_;
  std::map<std::string, AnfNodePtr> fresh_;
};

class BridgePass : public Pass {
 public:
  BridgePass() : Pass("mindveil") {}
  bool Run(const FuncGraphPtr &fg) override {
    if (callback == nullptr) Fail("the plugin is loaded but the passes are not connected; import mindveil.passes");
    Table table;
    auto document = Document(fg, &table).dump(-1, ' ', false, json::error_handler_t::replace);
    current = &table.nodes;
    const char *reply = callback(document.c_str());
    current = nullptr;
    if (reply == nullptr || *reply == 0) return false;
    auto edits = json::parse(reply);
    if (edits.contains("error")) throw std::runtime_error(edits["error"].get<std::string>());
    Editor(fg, &table).Apply(edits);
    return true;
  }
};

class BridgePlugin : public CustomPassPlugin {
 public:
  std::string GetPluginName() const override { return "mindveil"; }
  std::vector<std::string> GetAvailablePassNames() const override { return {"mindveil"}; }
  std::shared_ptr<Pass> CreatePass(const std::string &) const override { return std::make_shared<BridgePass>(); }
};

}  // namespace
}  // namespace opt
}  // namespace mindspore

extern "C" {
__attribute__((visibility("default"))) void mindveil_set_callback(const char *(*f)(const char *)) {
  mindspore::opt::callback = f;
}

// The Python lines that made node `id` of the graph in the callback, innermost first, one a line.
__attribute__((visibility("default"))) const char *mindveil_source(size_t id) {
  static std::string text;
  text.clear();
  if (mindspore::opt::current != nullptr && id < mindspore::opt::current->size())
    for (auto &line : mindspore::trace::GetSourceLineList((*mindspore::opt::current)[id])) text += line + "\n";
  return text.c_str();
}
}

using MindveilPlugin = mindspore::opt::BridgePlugin;
EXPORT_CUSTOM_PASS_PLUGIN(MindveilPlugin)
