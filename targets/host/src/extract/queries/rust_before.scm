; The type of an impl block: it owns the methods, and it implements the trait.
(impl_item type: (type_identifier) @name) @reference.implementor
(impl_item type: (generic_type type: (type_identifier) @name)) @reference.implementor
(impl_item type: (scoped_type_identifier name: (type_identifier) @name)) @reference.implementor
