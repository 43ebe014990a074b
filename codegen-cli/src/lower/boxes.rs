//! Types that contain themselves go on the heap there.

use petgraph::{algo::kosaraju_scc, graph::DiGraph};

use crate::model::{TypeDef, TypeId, TypeKind, TypeRef};

/// Boxes each reference that lies on a circle of types that hold one another by value. Lists and maps are on the heap already.
pub(super) fn break_circles(types: &mut [TypeDef]) {
    let mut graph = DiGraph::<(), ()>::with_capacity(types.len(), types.len());
    let nodes: Vec<_> = types.iter().map(|_| graph.add_node(())).collect();
    for (index, def) in types.iter_mut().enumerate() {
        for_each_held(&mut def.kind, &mut |ty| {
            if let Some(TypeId(held)) = by_value(ty) {
                graph.add_edge(nodes[index], nodes[held], ());
            }
        });
    }
    let mut circle = vec![0; types.len()];
    for (number, component) in kosaraju_scc(&graph).into_iter().enumerate() {
        for node in component {
            circle[node.index()] = number;
        }
    }
    for (index, def) in types.iter_mut().enumerate() {
        for_each_held(&mut def.kind, &mut |ty| {
            if by_value(ty).is_some_and(|held| circle[held.0] == circle[index]) {
                put_on_heap(ty);
            }
        });
    }
}

/// The type that a reference holds in place, if it has a name.
fn by_value(ty: &TypeRef) -> Option<TypeId> {
    match ty {
        TypeRef::Named(id) => Some(*id),
        TypeRef::Nullable(inner) => by_value(inner),
        _ => None,
    }
}

fn put_on_heap(ty: &mut TypeRef) {
    match ty {
        TypeRef::Nullable(inner) => put_on_heap(inner),
        other => *other = TypeRef::Boxed(Box::new(other.clone())),
    }
}

fn for_each_held(kind: &mut TypeKind, look: &mut dyn FnMut(&mut TypeRef)) {
    match kind {
        TypeKind::Struct(inner) => {
            for field in &mut inner.fields {
                look(&mut field.ty);
            }
        }
        TypeKind::Union(union) => {
            for variant in &mut union.variants {
                look(&mut variant.ty);
            }
        }
        TypeKind::Enum(_) => {}
    }
}
