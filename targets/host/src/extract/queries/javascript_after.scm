; The grammar's own query leaves constructors out, and with them who calls what they call.
(method_definition name: (property_identifier) @name) @definition.method

(program
  (lexical_declaration
    kind: "const" (variable_declarator name: (identifier) @name) @definition.constant))
(program
  (export_statement
    (lexical_declaration
      kind: "const" (variable_declarator name: (identifier) @name) @definition.constant)))
(program
  (lexical_declaration
    kind: "let" (variable_declarator name: (identifier) @name) @definition.variable))
(class_declaration (class_heritage (identifier) @name)) @reference.superclass
